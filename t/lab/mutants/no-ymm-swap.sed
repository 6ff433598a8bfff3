# fpu.c avx
# Of the vector registers the lower halves alone are switched.
s/"a" ((u32)fpu_mask)/"a" ((u32)fpu_mask \& 3)/
