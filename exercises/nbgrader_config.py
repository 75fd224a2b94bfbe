"""nbgrader's course: its root is this folder. `nbgrader formgrader` and `make assignments` read this."""

c = get_config()  # noqa: F821, nbgrader calls this file with it

c.CourseDirectory.course_id = "minimind-lite"
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
# Cells tagged `plug` load trained models and draw; nothing in them is graded.
c.Execute.skip_cells_with_tag = "plug"
c.Execute.timeout = 60
