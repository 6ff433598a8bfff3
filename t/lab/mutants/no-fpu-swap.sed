# fpu.c avx sse x87
# The guest's FPU is neither loaded nor saved.
s/"xrstor64 %0"/""/
s/"xsave64 %0"/""/
