package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"facteur/flow/plan"
	"facteur/flow/suite"
	"facteur/project"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

type testFlags struct {
	run         string
	junit       string
	json        bool
	verbose     bool
	coverage    bool
	coverageMin float64
	record      bool
	simulate    bool
}

func (a *app) testCommand() *cobra.Command {
	var f testFlags
	c := &cobra.Command{
		Use:   "test PATH…",
		Short: "Run flow tests without a network",
		Long: `Run flow tests without a network.

A path is a file whose name ends in .test.yaml, or a folder, which runs every test below it.
Requests are answered strictly by the exchanges of each case; time is virtual.

Coverage covers the tested flows and the flows that they call. If a path is a folder, every
flow next to or below its tests counts, even one without a test.

With --simulate, cases that have no exchanges, or only exchanges for http.request, run
against a simulator of the Cloud API, with its receipts and replies. With --simulate
--record, the exchanges of a case that passes are written into the case, or to the recording
that it names if that does not exist yet.

With --record alone, cases that name a recording send their requests to the real API with the
real connections, and the recording is rewritten, without secrets. This sends real messages.`,
		Example: "  facteur test .\n  facteur test flows --coverage --coverage-min 80 --junit report.xml",
		Args:    atLeastOne("PATH"),
		RunE:    func(c *cobra.Command, args []string) error { return a.test(c.Context(), args, f) },
	}
	c.Flags().StringVar(&f.run, "run", "", "run only cases whose name contains `text`")
	c.Flags().StringVar(&f.junit, "junit", "", "write a JUnit report to `file`")
	c.Flags().BoolVar(&f.json, "json", false, "print the report as JSON")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show the steps of every case")
	c.Flags().BoolVar(&f.coverage, "coverage", false, "show the coverage of each flow, and the steps and branches that no case took")
	c.Flags().Float64Var(&f.coverageMin, "coverage-min", 0, "fail if less than `N` percent of steps and branches are covered")
	c.Flags().BoolVar(&f.simulate, "simulate", false, "run cases that have no exchanges for messages against a simulator")
	c.Flags().BoolVar(&f.record, "record", false, "send for real and rewrite the recordings; with --simulate, write the simulator's answers")
	return c
}

func (a *app) test(ctx context.Context, paths []string, f testFlags) error {
	c := newChecker()
	files, swept, err := testFiles(paths)
	if err != nil {
		return err
	}
	ctx, _, stop := a.interrupts(ctx, func(int) {})
	defer stop()
	reports := make(suite.Reports, len(files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	if f.record {
		group.SetLimit(1)
	}
	for i, file := range files {
		loaded, p, found, err := c.load(file)
		if err != nil {
			return err
		}
		if p == nil || found.HasErrors() {
			reports[i] = &suite.Report{File: project.RelPath(file), Diagnostics: found}
			continue
		}
		group.Go(func() error {
			options, err := p.Options(loaded.Plan, f.simulate, f.record)
			if err != nil {
				return err
			}
			if f.run != "" {
				options.Select = func(name string) bool { return strings.Contains(name, f.run) }
			}
			reports[i] = suite.Run(ctx, loaded, options)
			reports[i].Diagnostics = found
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if c.found.HasErrors() { // of project files
		return a.diagnose(c.found)
	}
	return a.testReport(reports, c.untested(swept), f)
}

// testFiles lists the tests that arguments name, each once; swept are those found in folders.
func testFiles(paths []string) (files, swept []string, err error) {
	for _, path := range paths {
		info, err := stat(path, project.TestSuffix)
		if err != nil {
			return nil, nil, err
		}
		if !info.IsDir() {
			if err := wantFile(path, project.TestSuffix); err != nil {
				return nil, nil, err
			}
			files = append(files, path)
			continue
		}
		below, err := walk(path, func(name string) bool { return strings.HasSuffix(name, project.TestSuffix) })
		if err != nil {
			return nil, nil, err
		}
		if len(below) == 0 {
			return nil, nil, project.UserError("tests end in "+project.TestSuffix, "there is no flow test below %s", path)
		}
		files, swept = append(files, below...), append(swept, below...)
	}
	slices.Sort(files)
	return slices.Compact(files), swept, nil
}

func absRelPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return project.RelPath(abs)
	}
	return path
}

func (a *app) testReport(reports suite.Reports, others []*plan.Plan, f testFlags) error {
	if f.junit != "" {
		if err := writeFile(f.junit, reports.JUnit); err != nil {
			return project.SystemError(fmt.Errorf("the JUnit report: %w", err), "")
		}
	}
	ran := slices.ContainsFunc(reports, func(r *suite.Report) bool { return len(r.Cases) > 0 })
	coverage := reports.Coverage(others...)
	var err error
	if f.json {
		err = reports.JSON(a.stdout, others...)
	} else {
		err = reports.Text(a.stdout, suite.TextOptions{Color: colored(a.stdout), Verbose: f.verbose})
		switch {
		case err != nil, !ran:
		case f.coverage || f.coverageMin > 0:
			coverage.Text(a.stdout)
		default:
			fmt.Fprintf(a.stdout, "coverage: %.1f%%\n", coverage.Total.Percent())
		}
	}
	broken := slices.ContainsFunc(reports, func(r *suite.Report) bool { return r.Diagnostics.HasErrors() })
	switch {
	case err != nil:
		return project.SystemError(err, "")
	case broken:
		return &exitError{code: exitUser}
	case !ran:
		return project.UserError("--run takes part of a case's name", "no case was run")
	case !reports.Passed():
		return &exitError{code: exitFailed}
	case coverage.Total.Percent() < f.coverageMin:
		return failed(fmt.Errorf("%.1f%% of steps and branches are covered, but %g%% are required", coverage.Total.Percent(), f.coverageMin), "")
	}
	return nil
}

func writeFile(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
