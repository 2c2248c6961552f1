"""The paper's tables and figures as studies: what to train, and what to make of it.

A study is a class, named by a YAML in `conf/study/`, with

    phases(bench)           lists of runs; all runs of a list can be trained side by side
    findings(runs, out)     tables, a figure and claims, from the finished runs
"""
