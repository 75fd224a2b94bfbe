"""What the checks ask, one module a notebook: `ask.NAME(function, …)` asks one question."""
