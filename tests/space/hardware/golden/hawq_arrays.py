import numpy as np
# latency for INT4 and INT8, measured on T4 GPU
latency_int4 = np.array([0.21094404, 0.21092674,
                         0.13642465])
latency_int8 = np.array([0.36189111, 0.36211718, 0.0334169])
latency_limit = np.sum(latency_int4) + (np.sum(latency_int8) - np.sum(latency_int4)) * 0.5
