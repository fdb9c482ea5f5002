"""captum's algorithms by their names, such as `captum:KernelShap`, with captum's own options (Kokhlikyan et al., 2020).

captum explains one number at a time: here the log-probability of all codes in a window of time, for one window after
another. A gradient algorithm sees the prompt's embeddings, and the null condition as its baseline. A perturbation
algorithm sees a row of ones, one for each word, and zeroes some: `tagxai.scoring` scores each such coalition once for
all windows, which draw the same coalitions because each starts from the same seed.
"""
