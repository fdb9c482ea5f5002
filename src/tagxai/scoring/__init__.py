"""Score once, answer everything: subsets of the prompt -> log-probabilities of the clip's own codes.

A coalition is the set of prompt units (tokens, words or phrases) that is kept. `score` runs all coalitions through
teacher-forced passes and returns one table `log_prob[coalitions, codebooks, frames]`; leave-one-out, Shapley values,
surrogate models, interactions and deletion curves are then arithmetic on it, for any interval, any codebook and any
group of words, without another pass.
"""

from tagxai.scoring.cache import cached, shared_scores
from tagxai.scoring.coalitions import all_subsets, leave_one_out, permuted, random_subsets, token_masks, without
from tagxai.scoring.games import (
    banzhaf_interactions,
    leave_one_out_values,
    minimal_necessary,
    minimal_sufficient,
    shapley,
    shapley_interactions,
    shapley_values,
)
from tagxai.scoring.passes import score
from tagxai.scoring.questions import (
    Contrast,
    Effects,
    PromptAndHistory,
    WordsAndBeginning,
    effects,
    interval_difference,
    prompt_and_history,
    prompt_contrast,
    replacement_contrast,
    words_and_beginning,
)
from tagxai.scoring.surrogates import banzhaf_values, context_cite, kernel_shap, lime
from tagxai.scoring.table import NEEDS_ATTENTION, Operator, Prefix, ScoreTable, Target
from tagxai.scoring.ways import WaysIn, by_stream, ways_in

__all__ = [
    "NEEDS_ATTENTION",
    "Contrast",
    "Effects",
    "Operator",
    "Prefix",
    "PromptAndHistory",
    "ScoreTable",
    "Target",
    "WaysIn",
    "WordsAndBeginning",
    "all_subsets",
    "banzhaf_interactions",
    "banzhaf_values",
    "by_stream",
    "cached",
    "context_cite",
    "effects",
    "interval_difference",
    "kernel_shap",
    "leave_one_out",
    "leave_one_out_values",
    "lime",
    "minimal_necessary",
    "minimal_sufficient",
    "permuted",
    "prompt_and_history",
    "prompt_contrast",
    "random_subsets",
    "replacement_contrast",
    "score",
    "shapley",
    "shapley_interactions",
    "shapley_values",
    "shared_scores",
    "token_masks",
    "ways_in",
    "without",
    "words_and_beginning",
]
