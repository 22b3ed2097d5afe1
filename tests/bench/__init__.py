"""Benchmarks, run by ``make bench``; pytest collects none of them.

A topic is a module that registers one function, which returns its rows (:mod:`tests.bench.registry`); how
things are measured is said in :mod:`tests.bench.measuring`, and what runs on the other side in
:mod:`tests.bench.service`. To add a topic, write the module and name it in :mod:`tests.bench.__main__`.
"""
