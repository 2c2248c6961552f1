"""The paper's regression and competing methods from finished runs: `python -m rnc_lightning.report RUNS_DIR`.

Reads `result.json` files, so it needs neither PyTorch nor Lightning.
"""
