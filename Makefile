# Every target works from a bare clone: the toolchain (Node 24 included) comes with npm ci.
.PHONY: demo test check bench fuzz build clean install presets bundles native
.PHONY: eif repro lab-setup lab test-eif

# npm itself runs on whatever Node the machine has; scripts run on the pinned one.
RUN := npm run --silent
NODE := node_modules/.bin/node --disable-warning=ExperimentalWarning

build: install
	@$(RUN) kernel
	@$(RUN) proto
	@$(RUN) contracts

# npm ci when the lockfile is newer than what is installed.
install: node_modules/.package-lock.json

node_modules/.package-lock.json: package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
# Debian's npm (9.2) does not link the program of an optional package.
	@test -e node_modules/.bin/node || ln -s $$(cd node_modules/.bin && echo ../node-linux-*/bin/node) node_modules/.bin/node
	@touch $@

demo: build
	@$(RUN) demo -- $(if $(STEPS),--steps $(STEPS))

test: build
	@$(RUN) test

check: build
	@$(RUN) check

bench: build
	@$(RUN) bench

fuzz: build
	@FUZZ_RUNS=$(or $(RUNS),20000) $(RUN) fuzz

presets: build
	@$(RUN) presets

# Production, lab and mock enclave as single files, in out/bundles.
bundles: build
	@$(RUN) bundles

# The addons: for AF_VSOCK and the security module (the image, its tests, parents on Nitro hosts), and for parents to let the kernel
# carry bytes. They need a C compiler; a mock network needs neither.
native: build
	@$(RUN) native

# The enclave images with their measurements and lists of files, in out/image. Debian 12 and gcc; the kernel is built once and kept.
eif: build
	@$(NODE) infra/image/build.ts

# Builds everything twice, kernel included, in two directories, and compares.
repro: build
	@$(NODE) infra/image/repro.ts

# What boots images under emulation: QEMU and a vsock backend from Debian's sources, built once and kept.
lab-setup: build
	@$(NODE) infra/lab/setup.ts

# A network of the lab image in an emulated machine and three processes, until Ctrl-C.
lab: lab-setup eif
	@$(NODE) infra/lab/lab.ts

test-eif: lab-setup eif
	@$(RUN) test-eif

clean:
	rm -rf out node_modules shared/math/kernel/generated shared/wire/generated gateway/generated test/direct/generated
