# Python packages are installed into .venv, or for a Python of your choice (make test PYTHON=python3.13) into a folder
# of its version, .venv-3.13.0. The system packages that the tests need are installed with apt-get.
PYTHON ?= python3
ifeq ($(origin PYTHON),file)
VENV := .venv
else
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3] + sys.abiflags)')
VENV := .venv-$(or $(VERSION),$(error PYTHON=$(PYTHON) is no Python 3 that runs: give the path of one))
endif
LOWEST := $(VENV)-lowest
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: demo test test-lowest check bench bench-against bench-resume bench-fragments bench-page bench-lobby bystander conformance soak soak-games proxies docs pictures format clean

## demo: install the dependencies and run the word battle at http://localhost:8080 (or PORT=...)
demo: $(VENV)/installed
	$(BIN)/python -m examples.lobby.server $(if $(PORT),--port $(PORT))

## test: install what the tests need (packages, Chromium) and run all tests (PYTHON=python3.13: with that Python)
test: $(VENV)/developing chromium
	$(BIN)/python -m pytest

## test-lowest: run all tests with the lowest version of each package that pyproject.toml allows (PYTHON=python3.13)
test-lowest: $(LOWEST)/developing chromium
	$(LOWEST)/bin/python -m pytest

## check: check lint rules, format and types
check: $(VENV)/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## bench: measure speed and memory against a plain trio-websocket server; takes about six minutes
bench: $(VENV)/developing
	$(BIN)/python -m tests.benchmarks

## bench-against: speed and memory beside those of another commit, REF=HEAD~5; about fourteen minutes (PAIRS=9, COLUMNS=echo,memory)
bench-against: $(VENV)/developing
	$(if $(REF),,$(error call it as: make bench-against REF=<commit> [PAIRS=9] [COLUMNS=echo,500x10,memory]))
	$(BIN)/python -m tests.benchmarks.against '$(REF)' $(if $(PAIRS),--pairs '$(PAIRS)') $(if $(COLUMNS),--columns '$(COLUMNS)')

## bench-resume: speed and memory with clients that may come back, beside clients that may not; about fifteen minutes (PAIRS=9, COLUMNS=echo,come-back)
bench-resume: $(VENV)/developing
	$(BIN)/python -m tests.benchmarks.with_resume $(if $(PAIRS),--pairs '$(PAIRS)') $(if $(COLUMNS),--columns '$(COLUMNS)')

## bench-fragments: one message of 4 MiB in fragments of 64 bytes, beside plain trio-websocket; about half a minute (ROUNDS=9)
bench-fragments: $(VENV)/developing
	$(BIN)/python -m tests.benchmarks.fragments $(if $(ROUNDS),--rounds '$(ROUNDS)')

## bench-page: how many messages a second a page takes with our client, beside a bare WebSocket; about a minute (ROUNDS=7)
bench-page: $(VENV)/developing chromium
	$(BIN)/python -m tests.benchmarks.page $(if $(ROUNDS),--rounds '$(ROUNDS)')

## bench-lobby: searches in a lobby of 10,000 rooms, 500 games beside slow spectators, ticks in 200 rooms; about three minutes
bench-lobby: $(VENV)/developing
	$(BIN)/python -m tests.benchmarks.lobby

## bystander: how long others wait while one address attacks; about three minutes (ATTACKS=empty-pings,bad-JSON)
bystander: $(VENV)/developing
	$(BIN)/python -m tests.benchmarks.bystander $(if $(ATTACKS),--attacks '$(ATTACKS)')

## conformance: run Autobahn's WebSocket suite over TCP and TLS, where CPython 2.7 is there; about three minutes
conformance: $(VENV)/developing
	$(BIN)/python -m tests.conformance

## soak: drop a client at random, 100 times in each of 1,000 runs, and check that nothing is lost; about ten minutes (SEEDS=100)
soak: $(VENV)/developing
	$(BIN)/python -m tests.soak $(if $(SEEDS),--seeds '$(SEEDS)')

## soak-games: 10,000 games of random options with random players, and check that no seat is lost or taken twice; about half an hour (SEEDS=500)
soak-games: $(VENV)/developing
	$(BIN)/python -m tests.soak --games --seeds '$(or $(SEEDS),10000)'

## proxies: install nginx, HAProxy and Caddy and try the settings of the how-to page with them
proxies: $(VENV)/developing proxy-programs
	$(BIN)/python -m pytest tests/docs/test_proxies.py

## docs: build the documentation, and say where it is
docs: $(VENV)/documenting
	$(BIN)/zensical build --strict --config-file .mkdocs.yml
	@echo 'Open $(CURDIR)/build/docs/index.html (its search needs a web server: python3 -m http.server -d build/docs)'

## pictures: draw the pictures of the documentation anew from their Graphviz texts (docs/explanation/*.dot)
pictures: $(VENV)/bin/python graphviz
	$(BIN)/python docs/pictures.py

## format: fix automatically what can be fixed
format: $(VENV)/developing
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .hypothesis .cache build

$(VENV)/bin/python $(LOWEST)/bin/python:
	$(PYTHON) -m venv $(@:/bin/python=) || ($(SUDO) apt-get update && $(SUDO) apt-get install -y python3-venv && $(PYTHON) -m venv --clear $(@:/bin/python=))

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[examples]'
	touch $@

$(VENV)/developing: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs]'
	touch $@ $(VENV)/installed $(VENV)/documenting

$(LOWEST)/developing: $(LOWEST)/bin/python pyproject.toml tests/lowest.py
	$(LOWEST)/bin/python tests/lowest.py >$(LOWEST)/requirements.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(LOWEST)/requirements.txt --editable .
	touch $@

$(VENV)/documenting: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || ($(SUDO) apt-get update && $(SUDO) apt-get install -y --no-install-recommends chromium)

.PHONY: graphviz
graphviz:
	@command -v dot >/dev/null || ($(SUDO) apt-get update && $(SUDO) apt-get install -y --no-install-recommends graphviz)

.PHONY: proxy-programs
proxy-programs:
	@(command -v nginx && command -v haproxy && command -v caddy) >/dev/null || ($(SUDO) apt-get update && $(SUDO) apt-get install -y --no-install-recommends nginx-light haproxy caddy)
