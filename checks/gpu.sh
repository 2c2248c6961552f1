#!/usr/bin/env bash
# What a GPU does with this suite: checks/gpu.sh [OUT [OPTIONS]], eight minutes at most; without a GPU a small rehearsal.
# OUT gets gpu.md, gpu.json and gpu.log. PYTHON chooses the interpreter; the package need not be installed in it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
if [ -z "${PYTHON:-}" ] && [ -x "$root/.venv/bin/python" ]; then
  python=$root/.venv/bin/python
fi
if [ $# -eq 0 ]; then
  set -- "$root/runs/gpu_check"
fi
export PYTHONPATH="$root/src:$root/checks:$root/benchmarks${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m gpu "$@"
