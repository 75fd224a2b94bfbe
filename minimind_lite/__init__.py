"""MiniMind Lite: build a small chat model, and catch the bugs that do not crash."""
