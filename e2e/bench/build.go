package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// build builds a program for each kind of process, so that none links more than it needs.
func (b *bench) build() error {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env GOMOD: %w", err)
	}
	e2e := filepath.Dir(strings.TrimSpace(string(out)))
	if _, err := os.Stat(filepath.Join(e2e, "bench", "subject")); err != nil {
		return fmt.Errorf("run it in the folder e2e: %w", err)
	}
	if b.store == "" {
		b.store = "memory"
		if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
			b.store = "postgres"
		} else if _, err := exec.LookPath("initdb"); err == nil {
			b.store = "postgres"
		}
	}
	programs := []struct{ name, in, path string }{
		{"facteur", filepath.Dir(e2e), "./cmd/facteur"},
		{"subject", e2e, "./bench/subject"},
		{"server", e2e, "./bench/server"},
	}
	for _, p := range programs {
		if p.name == "server" && b.store == "none" {
			continue
		}
		say("building " + p.path)
		args := []string{"build", "-o", filepath.Join(b.dir, p.name)}
		if p.in == e2e {
			args = append(args, "-mod=mod")
		}
		build := exec.Command("go", append(args, p.path)...)
		build.Dir, build.Stderr = p.in, os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s: %w", p.path, err)
		}
	}
	return nil
}
