"""The part of Groovy that Jenkinsfiles are written in: lexer, parser, nodes and a bounded interpreter.

Knows nothing of declarative pipelines (that is the package above), of builds or of Django.
"""
