# svm.c tsc
# Each exit sets the guest's TSC back.
s/c->tlb_ctl = TLB_CONTROL_DO_NOTHING;/& c->tsc_offset -= 200000;/
