"""The paper's tables of regression and competing methods from finished runs, in several formats.

Reads `result.json` files, and needs neither PyTorch nor Lightning.
"""
