#!/usr/bin/env bash
# Builds the extension with a sanitizer beside the sources and runs the kernels' tests on it.
# Usage: PYTHON=.venv/bin/python tests/sanitize.sh address,undefined | thread
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?which sanitizers: address,undefined or thread}
python=${PYTHON:-python3}
build=build/sanitize-${kind//,/-}
compiler=${CXX:-g++}

# One level is enough: the kernels' sources are the same. AVX2 where there is, since it has the most code of its own.
level=$("$python" -c 'from convergent import _core; s = _core.supported_levels(); print("x86-64-v3" if "x86-64-v3" in s else s[-1])')
bin=$(dirname "$("$python" -c 'import sys; print(sys.executable)')")
PATH=$bin:$PATH cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCONVERGENT_SANITIZE="$kind" -DCONVERGENT_LEVELS="${level//-/_}" -DCMAKE_CXX_COMPILER="$compiler" \
    -DPython_EXECUTABLE="$("$python" -c 'import sys; print(sys.executable)')" \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" >/dev/null
PATH=$bin:$PATH cmake --build "$build" >/dev/null
rm -rf "$build/python"
mkdir -p "$build/python"
cp -r python/convergent "$build/python/"
rm -f "$build"/python/convergent/_core/*.so
PATH=$bin:$PATH cmake --install "$build" --prefix "$build/python" >/dev/null

library() { "$compiler" -print-file-name="$1"; }
if [[ $kind == thread ]]; then
    export LD_PRELOAD="$(library libtsan.so) $(library libstdc++.so)"
    # Only the extension is compiled for the sanitizer; what other libraries do among themselves is not ours.
    export TSAN_OPTIONS="halt_on_error=1 ignore_noninstrumented_modules=1"
    selection=(-k thread)
    runner=(setarch "$(uname -m)" -R)
else
    export LD_PRELOAD="$(library libasan.so) $(library libubsan.so) $(library libstdc++.so)"
    export ASAN_OPTIONS="detect_leaks=0 detect_stack_use_after_return=0"
    export UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1"
    selection=(-k "not interrupt and not ctrl_c and not peak_memory and not stay_small and not no_more_than_a_bound")
    runner=()
fi
# -S leaves out the editable installation's import hook, so that the sanitized copy is the one imported.
site=$(env -u LD_PRELOAD "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
export PYTHONPATH="$build/python:$site" PYTHONMALLOC=malloc OPENBLAS_NUM_THREADS=1
"${runner[@]}" "$python" -S -m pytest -q -p no:cacheprovider "${selection[@]}" \
    tests/test_assignment.py tests/test_sparse_assignment.py tests/test_unit_match.py \
    tests/test_mutual_information.py tests/test_mutual_information_border.py tests/test_positional_counts.py tests/test_binning.py \
    tests/test_factor.py tests/test_subspace.py tests/test_subspace_errors.py tests/test_minimal_match.py \
    tests/test_minimal_match_sharing.py tests/test_cross_products.py tests/test_match_sources.py \
    tests/test_shared_response.py tests/test_shared_response_model.py tests/test_shared_response_sweeps.py tests/test_shared_response_single.py tests/test_probabilistic_response.py tests/test_working_memory.py tests/test_moments.py tests/test_moments_border.py tests/test_correlation.py \
    tests/test_sparse_map.py tests/test_sparse_map_border.py tests/test_sparse_map_golden.py
