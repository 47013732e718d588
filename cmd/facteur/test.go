package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/suite"
	"facteur/project"
	"facteur/vault"

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
		Short: "Run flow tests, without a network",
		Long: `Run flow tests, without a network.

A path is a file that ends in .test.yaml, or a folder: then every test below it is run.
Requests are answered by the exchanges of each case, strictly; time is virtual.

Coverage is that of the flows that are tested, and of those that they call; where a folder
is given, every flow beside or below its tests counts, also one without a test.

With --simulate, cases that have no exchanges run against a simulator of the Cloud API, with
the receipts and replies that it brings. With --record beside it, what was exchanged is
written below the case, or to the recording that it names and that is not there yet.

With --record alone, requests of cases that name a recording go to the real API with the
real connections, and the recording is written anew, without secrets. It sends real
messages.`,
		Example: "  facteur test .\n  facteur test flows --coverage --coverage-min 80 --junit report.xml",
		Args:    atLeastOne("PATH"),
		RunE:    func(c *cobra.Command, args []string) error { return a.test(c.Context(), args, f) },
	}
	c.Flags().StringVar(&f.run, "run", "", "run only cases whose name contains `text`")
	c.Flags().StringVar(&f.junit, "junit", "", "write a JUnit report to `file`")
	c.Flags().BoolVar(&f.json, "json", false, "print the report as JSON")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show the steps of every case")
	c.Flags().BoolVar(&f.coverage, "coverage", false, "show the coverage of each flow, and which steps and branches no case took")
	c.Flags().Float64Var(&f.coverageMin, "coverage-min", 0, "fail when less than `N` percent of steps and branches are covered")
	c.Flags().BoolVar(&f.simulate, "simulate", false, "run cases that have no exchanges against a simulator")
	c.Flags().BoolVar(&f.record, "record", false, "send for real, and write the recordings anew; with --simulate, write what the simulator answered")
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
			reports[i] = &suite.Report{File: project.Shown(file), Diagnostics: found}
			continue
		}
		group.Go(func() error {
			options, err := p.testOptions(loaded.Plan, f)
			if err != nil {
				return err
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
	return a.testReport(reports, c.others(swept), f)
}

// testFiles lists the tests that arguments name, each once; swept are those of folders.
func testFiles(paths []string) (files, swept []string, err error) {
	for _, path := range paths {
		before := len(files)
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() {
			if err := wantFile(path, project.TestSuffix); err != nil {
				return nil, nil, err
			}
			files = append(files, path)
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, noFile(path, project.TestSuffix)
		}
		if err == nil {
			err = walk(path, func(file string) {
				if strings.HasSuffix(file, project.TestSuffix) {
					files, swept = append(files, file), append(swept, file)
				}
			})
		}
		if err != nil {
			return nil, nil, wrong("", "%w", err)
		}
		if len(files) == before {
			return nil, nil, wrong("tests end in "+project.TestSuffix, "there is no flow test below %s", path)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), swept, nil
}

// load reads a test file with its project; the file is nil when it has mistakes.
func (c *checker) load(file string) (*suite.File, *checkedProject, diag.List, error) {
	p, err := c.project(file)
	if err != nil || p == nil {
		return nil, nil, nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, nil, wrong("", "%w", err)
	}
	loaded, found := suite.Load(shownAbs(file), text, p.library)
	return loaded, p, found, nil
}

func shownAbs(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return project.Shown(abs)
	}
	return path
}

// testOptions wires the cases of a file to the actions.
func (p *checkedProject) testOptions(tested *plan.Plan, f testFlags) (suite.Options, error) {
	o := suite.Options{Do: func(w suite.World) (call.Do, error) { return p.testDo(tested, w) }}
	if f.run != "" {
		o.Select = func(name string) bool { return strings.Contains(name, f.run) }
	}
	switch {
	case f.simulate:
		o.Simulate = func(w suite.World) (call.Do, func(), error) { return p.simulatedDo(tested, w) }
		o.Keep = f.record
	case f.record:
		return o, p.record(&o)
	}
	return o, nil
}

// testDo makes the calls of one case: its connections have test tokens, and its requests
// go where the case wants them.
func (p *checkedProject) testDo(tested *plan.Plan, w suite.World) (call.Do, error) {
	fixed, err := p.caseConnections(tested, w)
	if err != nil {
		return nil, err
	}
	v, err := p.OpenVault(fixed)
	if err != nil {
		return nil, err
	}
	set, err := project.NewCatalog(v, w.RoundTripper, p.Policy(), p.known(w))
	if err != nil {
		return nil, err
	}
	return set.Do, nil
}

// caseConnections makes the connections of one case, with test tokens.
func (p *checkedProject) caseConnections(tested *plan.Plan, w suite.World) (map[string]vault.Connection, error) {
	given := map[string]map[string]string{}
	names := append(sortedNames(p.Connections), tested.Connections...)
	for name, fields := range w.Connections {
		given[name] = map[string]string{}
		for key, value := range fields {
			given[name][key] = fmt.Sprint(value)
		}
		names = append(names, name)
	}
	return p.TestConnections(tested, names, given, testToken)
}

// known answers what actions want to know from what a test case says, and has sent.
func (p *checkedProject) known(w suite.World) whatsapp.Options {
	o := rememberOnly(w.Now)
	o.Window = p.window(w)
	return o
}

// window answers what a test case says about 24-hour windows, and what its events do to
// them. nil: it says nothing.
func (p *checkedProject) window(w suite.World) func(context.Context, string, string) whatsapp.Window {
	if len(w.Window) == 0 {
		return nil
	}
	windows := map[string]whatsapp.Window{}
	for contact, state := range w.Window {
		if subject, err := p.library.Catalog.Event("whatsapp.message").Subject(contact); err == nil {
			windows[subject] = whatsapp.Window(state)
		}
	}
	return func(_ context.Context, _, recipient string) whatsapp.Window {
		for _, e := range w.Events() {
			sent, _ := e.Data["timestamp"].(time.Time)
			if e.Name == "whatsapp.message" && slices.Contains(e.Subjects, recipient) && w.Now().Sub(sent) < 24*time.Hour {
				return whatsapp.WindowOpen
			}
		}
		return windows[recipient]
	}
}

// others compiles the flows beside tests that were found in folders, for coverage: a flow
// without a test counts too.
func (c *checker) others(files []string) []*plan.Plan {
	var plans []*plan.Plan
	for _, root := range sortedNames(c.projects) {
		p := c.projects[root]
		if p == nil {
			continue
		}
		names, err := p.Index()
		if err != nil {
			continue
		}
		for _, name := range sortedNames(names) {
			if f := names[name]; !f.Diags.HasErrors() && besides(f.Path, files) {
				if compiled, _ := p.compiler.Compile(f.Flow); compiled != nil {
					plans = append(plans, compiled)
				}
			}
		}
	}
	return plans
}

// besides tells whether a flow stands in a folder of the tests, or below one.
func besides(flow string, tests []string) bool {
	return slices.ContainsFunc(tests, func(test string) bool {
		abs, err := filepath.Abs(test)
		return err == nil && strings.HasPrefix(flow, filepath.Dir(abs)+string(filepath.Separator))
	})
}

func (a *app) testReport(reports suite.Reports, others []*plan.Plan, f testFlags) error {
	if f.junit != "" {
		if err := writeFile(f.junit, reports.JUnit); err != nil {
			return surroundings(fmt.Errorf("the JUnit report: %w", err), "")
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
		return surroundings(err, "")
	case broken:
		return &exitError{code: exitWrong}
	case !ran:
		return wrong("--run takes a part of a case's name", "no case was run")
	case !reports.Passed():
		return &exitError{code: exitFailed}
	case coverage.Total.Percent() < f.coverageMin:
		return &exitError{code: exitFailed, err: fmt.Errorf("%.1f%% of steps and branches are covered, wanted %g%%", coverage.Total.Percent(), f.coverageMin)}
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
