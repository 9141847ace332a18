"""Statistics of groups: effect sizes, rates, attrition, named service metrics, own-sample reliability, anchors.

Arrays in, figures out; nothing is rounded, and what does not exist is refused with
:class:`scoring.cutoffs.NotComputable` (a stable ``reason`` and a sentence), never NaN.
"""
