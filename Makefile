# make help lists what there is. `make book` and `make test` do all their set-up themselves.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/installed
CHAPTERS := $(sort $(wildcard chapters/*.ipynb))
EXECUTED := $(CHAPTERS:chapters/%=_build/executed/%)
# These need one processor each, so two run at a time; the others train, and want all there are.
SINGLE := $(foreach number,03 06 01 02,$(filter _build/executed/$(number)%,$(EXECUTED)))
PACKAGE := $(wildcard minimind_lite/*.py minimind_lite/*.mplstyle minimind_lite/text/*)
TOOL := $(RUN) book/_tools/notebooks.py
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=1200 --nbval-sanitize-with=tests/sanitize.cfg

.PHONY: $(shell sed -n "s/^\([a-z -]*\):.*/\1/p" $(firstword $(MAKEFILE_LIST)))
ifndef TOGETHER
.NOTPARALLEL:
endif
.DELETE_ON_ERROR:
# Many containers set this. Then every process of ours would compile PyTorch's sources again.
unexport PYTHONDONTWRITEBYTECODE

help:  ## list the targets
	@sed -n 's/^\([a-z -]*\):.*## /  make \1: /p' $(MAKEFILE_LIST)

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=…")'
	@echo "Setting up $(VENV): a few minutes and about 1.5 GB, once."
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt
	@touch $@

models: $(INSTALLED)  ## make what is missing of corpus, tokenizer, base model and chat model
	@$(RUN) -m minimind_lite sft

began:
	@mkdir -p _build && date +%s > _build/.began

book: began models  ## train the models, run every chapter, render the book; later, what has changed
	@+$(MAKE) -s --no-print-directory -j2 TOGETHER=1 $(SINGLE)
	@+$(MAKE) -s --no-print-directory $(EXECUTED)
	@$(TOOL) render _build/executed
	@$(TOOL) summary $$(cat _build/.began)

_build/executed/%.ipynb: chapters/%.ipynb $(PACKAGE)
	@$(TOOL) execute $< $@

html zh: $(INSTALLED)  ## render the stored outputs, without running anything; the Chinese pages in zh/
	@$(TOOL) render chapters

zh-update: $(INSTALLED)  ## bring book/locale/ up to date with the book; PAGE=chapters/05_pretraining adds a page
	@$(TOOL) stage chapters
	@$(RUN) book/_tools/languages.py update _build/source $(PAGE)

pdf: $(INSTALLED)  ## make _build/book.pdf, to print or hand out (needs chromium)
	@test -f _build/html/index.html || $(TOOL) render chapters
	@$(RUN) book/_tools/pdf.py _build/html _build/book.pdf

launch: $(INSTALLED)  ## after a change of the repository in _config.yml: what Colab needs, in each chapter
	@$(RUN) book/_tools/launch.py chapters/*.ipynb

refresh: $(INSTALLED)  ## run chapters in place and tidy them for committing (all, or CHAPTER=05)
	@$(TOOL) refresh chapters/$(CHAPTER)*.ipynb

compared/%.ipynb: chapters/%.ipynb
	@$(RUN) -m pytest -q $(NBVAL) $<

test: models  ## all tests: units, chapters against their stored outputs, rendered pages
	@$(RUN) -m pytest -q -n auto --maxprocesses 4 --dist worksteal tests
	@+$(MAKE) -s --no-print-directory -j2 --output-sync=target TOGETHER=1 $(SINGLE:_build/executed/%=compared/%)
	@$(RUN) -m pytest -q $(NBVAL) $(filter-out $(SINGLE:_build/executed/%=chapters/%),$(CHAPTERS))
	@$(TOOL) render chapters
	@$(RUN) tests/check_pages.py _build/html
	@$(RUN) -m pytest -q tests/rendered_*.py

chat: models  ## talk to the chat model in the terminal
	@$(RUN) -m minimind_lite chat

lab: $(INSTALLED)  ## open the chapters in JupyterLab
	@$(RUN) -m jupyter lab chapters

assignments: $(INSTALLED)  ## make the students' notebooks, and prove that no solution is left in them
	@$(RUN) -m exercises.release

exercises: $(INSTALLED)  ## work on the exercises in JupyterLab; what you have begun stays
	@$(RUN) -m exercises.release --work
	@$(RUN) -m jupyter lab exercises/work

grade: $(INSTALLED)  ## grade submissions, SUBMITTED=folder, into grades.csv (or CSV=file)
	@test -n "$(SUBMITTED)" || { echo "Say which folder: make grade SUBMITTED=folder"; exit 1; }
	@$(RUN) -m exercises.grade "$(SUBMITTED)" --csv "$(or $(CSV),grades.csv)"

formgrader: $(INSTALLED)  ## open nbgrader's course in JupyterLab, for teachers
	@cd exercises && PATH="$(abspath $(VENV)/bin):$$PATH" $(abspath $(RUN)) -m jupyter lab

plugs: models  ## run the exercises' last cells, which put the solutions into the trained models (minutes)
	@$(RUN) -m exercises.plugs

measure-prefix-space: $(INSTALLED)  ## chapter 03's table: add_prefix_space in many versions of transformers
	@$(RUN) tests/measure_prefix_space.py

bench-gpu: $(INSTALLED)  ## speed and memory of the larger presets on a GPU, for chapter 09
	@$(RUN) tests/bench_gpu.py

measure-smaller: $(INSTALLED)  ## the page about speed: what smaller models save, and can do (40 minutes)
	@$(RUN) tests/measure_smaller.py

measure-million: $(INSTALLED)  ## chapter 09's claim about memory, with a million lines
	@$(RUN) tests/measure_million.py

BENCH = $(RUN) tests/bench.py $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) $(if $(MINIMIND),--minimind $(MINIMIND)) \
	$(if $(NANOGPT),--nanogpt $(NANOGPT)) $(if $(MINBPE),--minbpe $(MINBPE))

bench: models  ## how fast, against others, in turn (ONLY="step decode", QUICK=1, MINIMIND=, NANOGPT=, MINBPE=folder)
	@$(BENCH)

bench-page: models  ## the same, and put the results into the book
	@$(BENCH) --page book/bench.json

bench-tokenizer: $(INSTALLED)  ## time our tokenizer against others (several minutes)
	@$(RUN) tests/bench_tokenizer.py

clean:  ## delete what was rendered; runs/ (trained models) and .venv stay
	rm -rf _build

distclean: clean  ## delete everything that was generated, trained models too
	rm -rf runs $(VENV) *.egg-info
