"""Build logs: written once by the build's agent, read by pages, the API and streams; the same while running and after.

A log is its raw bytes. Rows and stored objects are only how they are kept; offsets and line numbers (from 1) never change.
Knows the tables of builds; must not know pipelines, builders or how a build is run.
"""
