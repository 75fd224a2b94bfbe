# MiniMind Lite. `make help` lists what there is; works with GNU make 3.81 and newer.

PYTHON ?= python3
PIP_FLAGS ?=
CHAPTER ?=
PRESET := $(or $(MINIMIND_LITE_PRESET),lite)

BIN := .venv/bin
PACKAGE := $(wildcard minimind_lite/*.py minimind_lite/text/* minimind_lite/*.mplstyle)
CHAPTERS := $(sort $(wildcard chapters/[0-9]*.ipynb))
EXECUTED := $(CHAPTERS:chapters/%=_build/executed/$(PRESET)/%)
MODELS := _build/models-$(PRESET).stamp
TIMES := _build/executed/$(PRESET)/times.json

export JUPYTER_PREFER_ENV_PATH := 1
export PYTHONUTF8 := 1

.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: book html refresh test check chat lab bench-tokenizer clean distclean help

# The pages: $(1) are the notebooks to show, $(2) the file of measured times, if any.
define render
	@rm -rf _build/source _build/html _build/.doctrees
	@mkdir -p _build/source/chapters
	@cp -R _config.yml _toc.yml book _build/source/
	@cp $(1) _build/source/chapters/
	$(if $(2),@cp $(2) _build/source/)
	@echo "Rendering $(words $(1)) chapters"
	@$(BIN)/jupyter-book build _build/source --path-output . -W -n --keep-going -q > _build/render.log 2>&1 \
		|| { cat _build/render.log; echo "Rendering failed; the warnings above are errors."; exit 1; }
endef

book: $(EXECUTED)  ## install, train, run every chapter, render: _build/html/index.html
	$(call render,$(EXECUTED),$(TIMES))
	@$(BIN)/python book/_tools/stopwatch.py --report $(TIMES)
	@echo "Open $(CURDIR)/_build/html/index.html"

html: .venv/ready  ## render the chapters as they are stored, without running them (seconds)
	$(call render,$(CHAPTERS),)
	@echo "Open $(CURDIR)/_build/html/index.html"

# Which chapters `make refresh` means: all, or CHAPTER=05, also as `make refresh-05`.
CHOSEN := $(filter chapters/$(CHAPTER)%.ipynb,$(CHAPTERS))

refresh: $(MODELS)  ## run chapters in place and tidy them for committing (one: make refresh-05)
	@test -n "$(CHOSEN)" || { echo "No chapter begins with '$(CHAPTER)'."; exit 1; }
	@set -e; mkdir -p _build/executed/$(PRESET); for chapter in $(CHOSEN); do \
		$(BIN)/python book/_tools/stopwatch.py $(TIMES) `basename $$chapter .ipynb` \
			$(BIN)/python book/_tools/execute.py $$chapter $$chapter; \
		cp $$chapter _build/executed/$(PRESET)/; \
	done

refresh-%:
	@$(MAKE) refresh CHAPTER=$*

test: $(MODELS)  ## unit tests, every chapter against its stored outputs, the rendered pages
	$(BIN)/python -m pytest -q
	TQDM_DISABLE=1 $(BIN)/python -m pytest -q --nbval --nbval-current-env --nbval-cell-timeout=600 \
		--nbval-sanitize-with=tests/nbval_sanitize.cfg $(CHAPTERS)
	@$(MAKE) html check

check: .venv/ready  ## check the rendered pages: outputs, links, pictures
	$(BIN)/python -m pytest -q tests/check_pages.py

chat: .venv/ready  ## train what is missing, then talk to the model in the terminal
	@$(BIN)/python -m minimind_lite chat

lab: .venv/ready  ## open the chapters in JupyterLab
	@$(BIN)/jupyter lab chapters

bench-tokenizer: .venv/ready  ## our tokenizer beside others: speed and memory
	@$(BIN)/python tests/bench_tokenizer.py

clean:  ## remove pages and executed chapters; keep trained models (runs/) and .venv
	rm -rf _build

distclean: clean  ## remove everything that was generated
	rm -rf .venv runs .pytest_cache .hypothesis *.egg-info

help:  ## this list
	@echo "make TARGET; without a target: book"
	@awk -F ':.*##' '/^[a-z-]+:.*##/ {printf "  %-16s%s\n", $$1, $$2}' Makefile
	@echo "Options: PYTHON=python3.12  MINIMIND_LITE_PRESET=small  PIP_FLAGS='--extra-index-url ...'"

.venv/ready: requirements.txt pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("MiniMind Lite needs Python 3.11 or newer; this is %d.%d. Name another one: make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "Installing packages into .venv (once; a few minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -r requirements.txt
	@touch $@

# Trained models live in runs/, found by a hash of what they depend on; the stamp only says that
# they were there after the last edit.
$(MODELS): .venv/ready $(PACKAGE)
	@echo "Corpus, tokenizer, pretraining, fine-tuning: making what is missing in runs/"
	@mkdir -p _build
	@$(BIN)/python book/_tools/stopwatch.py $(TIMES) models $(BIN)/python -m minimind_lite sft
	@touch $@

# A chapter runs again when its notebook or any file of the package is newer.
_build/executed/$(PRESET)/%.ipynb: chapters/%.ipynb .venv/ready $(PACKAGE) | $(MODELS)
	@$(BIN)/python book/_tools/stopwatch.py $(TIMES) $* \
		$(BIN)/python book/_tools/execute.py $< $@
