"""Stages that look at one document at a time: each by its paper's definition, each rule a setting.

Every stage is a frozen dataclass, called with a batch (see `lilliput.corpus.stages`). A rule is
named after the setting that bounds it. Words are what stands between white space, as the papers
have it.
"""
