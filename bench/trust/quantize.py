"""Makes another quantisation of a GGUF by llama.cpp's own quantiser, `llama_model_quantize`, out of the very library
that the node runs (node-llama-cpp's prebuilt one): python3 quantize.py FOLDER SOURCE TARGET FILE_TYPE

FOLDER holds libllama and libggml, FILE_TYPE is a number of `enum llama_ftype` in llama.h, as 2 for Q4_0.
"""

import ctypes
import glob
import os
import sys


class Params(ctypes.Structure):
    """The beginning of `struct llama_model_quantize_params`; what follows stays as the library gives it."""

    _fields_ = [
        ("threads", ctypes.c_int32),
        ("file_type", ctypes.c_int32),
        ("output_tensor_type", ctypes.c_int32),
        ("token_embedding_type", ctypes.c_int32),
        ("allow_requantize", ctypes.c_bool),
        ("quantize_output_tensor", ctypes.c_bool),
        ("only_copy", ctypes.c_bool),
        ("pure", ctypes.c_bool),
        ("rest", ctypes.c_char * 496),
    ]


def load(folder, pattern):
    found = sorted(glob.glob(os.path.join(folder, pattern)))
    if not found:
        sys.exit(f"there is no {pattern} in {folder}")
    return ctypes.CDLL(found[0], mode=ctypes.RTLD_GLOBAL)


folder, source, target, file_type = sys.argv[1:5]
load(folder, "libggml-base.*")
ggml = load(folder, "libggml.*")
llama = load(folder, "libllama.*")
ggml.ggml_backend_load_all_from_path(folder.encode())
llama.llama_backend_init()
llama.llama_model_quantize_default_params.restype = Params
params = llama.llama_model_quantize_default_params()
# Defaults of llama.cpp: where they are others, the struct is another, and nothing here would mean what it says.
if (params.allow_requantize, params.quantize_output_tensor, params.only_copy, params.pure) != (False, True, False, False):
    sys.exit("this llama.cpp has other parameters of llama_model_quantize than this script knows")
params.threads, params.file_type, params.allow_requantize = 1, int(file_type), True
llama.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Params)]
sys.exit(llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)))
