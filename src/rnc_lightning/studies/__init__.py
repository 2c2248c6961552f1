"""The paper's tables and figures as studies: which runs to train and how to evaluate them.

A study is a class with a YAML in `conf/study/` and the methods

    phases(bench)           lists of runs; the runs of one list can be trained in parallel
    findings(runs)          tables, a figure and claims, from the finished runs
"""
