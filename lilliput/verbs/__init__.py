"""The verbs as Python functions: what the command line calls and `import lilliput` offers."""
