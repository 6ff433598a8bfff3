# svm_dr.c debug
# The guest runs with whatever is in DR0-3.
s/set_debugreg(v->dr\[[0-3]\], [0-3]);//
