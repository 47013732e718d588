package suite

import (
	"encoding/json"
	"io"

	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// The form of the reports as JSON. Fields may be added; names and meanings stay.
type (
	reportsJSON struct {
		Passed   bool         `json:"passed"`
		Files    []reportJSON `json:"files"`
		Coverage coverageJSON `json:"coverage"`
	}
	reportJSON struct {
		File        string     `json:"file"`
		Flow        string     `json:"flow,omitempty"`
		Passed      bool       `json:"passed"`
		Diagnostics diag.List  `json:"diagnostics,omitempty"`
		Cases       []caseJSON `json:"cases"`
	}
	caseJSON struct {
		Name     string        `json:"name"`
		Line     int           `json:"line,omitempty"`
		Passed   bool          `json:"passed"`
		Recorded bool          `json:"recorded,omitempty"` // its exchanges were written
		Status   string        `json:"status,omitempty"`
		Elapsed  string        `json:"elapsed"` // virtual, as flows write durations
		Failures []failureJSON `json:"failures,omitempty"`
		Steps    []StepReport  `json:"steps,omitempty"`
	}
	failureJSON struct {
		File    string       `json:"file,omitempty"`
		Line    int          `json:"line,omitempty"`
		Col     int          `json:"col,omitempty"`
		Message string       `json:"message"`
		Details []string     `json:"details,omitempty"`
		Diff    []Difference `json:"diff,omitempty"`
	}
	coverageJSON struct {
		Percent float64 `json:"percent"`
		CoverageCounts
		Flows []flowCoverageJSON `json:"flows"`
	}
	flowCoverageJSON struct {
		Flow    string  `json:"flow"`
		Percent float64 `json:"percent"`
		CoverageCounts
		Missed []missedJSON `json:"missed,omitempty"`
	}
	missedJSON struct {
		File string `json:"file,omitempty"`
		Line int    `json:"line,omitempty"`
		Step string `json:"step"`
		Way  string `json:"way,omitempty"`
	}
)

// JSON writes the reports and their coverage as one JSON object; for further see Coverage.
func (rs Reports) JSON(w io.Writer, further ...*plan.Plan) error {
	out := reportsJSON{Passed: rs.Passed(), Files: []reportJSON{}}
	for _, r := range rs {
		file := reportJSON{File: r.File, Flow: r.Flow, Passed: r.Passed(), Diagnostics: r.Diagnostics, Cases: []caseJSON{}}
		for _, c := range r.Cases {
			file.Cases = append(file.Cases, c.json())
		}
		out.Files = append(out.Files, file)
	}
	out.Coverage = rs.Coverage(further...).json()
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

func (c *CaseReport) json() caseJSON {
	out := caseJSON{
		Name: c.Name, Line: c.Range.Pos().Line, Passed: c.Passed, Recorded: c.Recorded, Status: c.Status,
		Elapsed: schema.FormatDuration(c.Elapsed), Steps: c.Steps,
	}
	for _, f := range c.Failures {
		at := f.Range.Pos()
		out.Failures = append(out.Failures, failureJSON{f.Range.File(), at.Line, at.Col, f.Message, f.Details, f.Diff})
	}
	return out
}

func (c Coverage) json() coverageJSON {
	out := coverageJSON{Percent: c.Total.Percent(), CoverageCounts: c.Total, Flows: []flowCoverageJSON{}}
	for _, f := range c.Flows {
		one := flowCoverageJSON{Flow: f.Flow, Percent: f.Percent(), CoverageCounts: f.CoverageCounts}
		for _, m := range f.Missed {
			one.Missed = append(one.Missed, missedJSON{m.Range.File(), m.Range.Pos().Line, m.Place, m.Choice})
		}
		out.Flows = append(out.Flows, one)
	}
	return out
}
