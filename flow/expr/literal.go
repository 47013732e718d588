package expr

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/nyaruka/phonenumbers"
)

// literals reports literal arguments that are invalid.
func (c *check) literals() {
	formats := false
	ast.PostOrderVisit(c.tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		call := e.AsCall()
		formats = formats || call.FunctionName() == "format"
		if call.FunctionName() == "format" && !call.IsMemberFunction() && len(call.Args()) == 3 {
			c.literal(call.Args()[1], validLayout)
			c.zone(call.Args()[2])
			return
		}
		if call.IsMemberFunction() && len(call.Args()) == 1 && slices.Contains(clockFunctions[:], call.FunctionName()) {
			if zone, ok := textOf(call.Args()[0]); ok && zone != "" && !strings.Contains(zone, ":") {
				c.zone(call.Args()[0])
			}
		}
		if i, valid := literalRule(call); valid != nil && i < len(call.Args()) {
			c.literal(call.Args()[i], valid)
		}
	}))
	if formats && !c.list.HasErrors() {
		c.formats()
	}
}

func (c *check) literal(arg ast.Expr, valid func(string) error) {
	if s, ok := textOf(arg); ok {
		if err := valid(s); err != nil {
			c.errorf("invalid-literal", c.positions.node(arg), "", "%v", err)
		}
	}
}

// clockFunctions are CEL's getters of a timestamp's parts, which take a time zone: its name,
// +02:00, or "".
var clockFunctions = [...]string{"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
	"getHours", "getMinutes", "getSeconds", "getMilliseconds"}

func (c *check) zone(arg ast.Expr) {
	s, ok := textOf(arg)
	if !ok {
		return
	}
	if _, err := timeZone(s); err != nil {
		hint := ""
		if _, suggestion := TimeZone(s); suggestion != "" {
			hint = fmt.Sprintf("did you mean %q?", suggestion)
		}
		c.errorf("invalid-literal", c.positions.node(arg), hint, "%v", err)
	}
}

// literalRule returns which argument of a call is validated if it is a literal, and how.
func literalRule(call ast.CallExpr) (arg int, valid func(string) error) {
	switch call.FunctionName() {
	case "matches":
		if call.IsMemberFunction() {
			return 0, validRegexp
		}
		return 1, validRegexp
	case "regex.extract", "regex.extractAll", "regex.replace":
		return 1, validRegexp
	case "@duration":
		return 0, func(s string) error { _, err := parseDuration(s); return err }
	case "timestamp":
		return 0, validTimestamp
	case "e164":
		return 1, validRegion
	}
	return 0, nil
}

func validRegexp(s string) error {
	if _, err := regexp.Compile(s); err != nil {
		return fmt.Errorf("the regular expression is not valid: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

func validTimestamp(s string) error {
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return fmt.Errorf("%q is not a timestamp; write one such as \"2026-01-31T08:00:00Z\"", s)
	}
	return nil
}

func validRegion(s string) error {
	if !phonenumbers.GetSupportedRegions()[strings.ToUpper(s)] {
		return fmt.Errorf("%q is not a region; write one such as \"FR\"", s)
	}
	return nil
}

// formats runs CEL's own validators of format(…).
func (c *check) formats() {
	problems := common.NewErrors(common.NewTextSource(c.positions.text.Value))
	issues := cel.NewIssuesWithSourceInfo(problems, c.tree.SourceInfo())
	for _, v := range shared().cel.Validators() {
		v.Validate(shared().cel, noConfig{}, c.tree, issues)
	}
	for _, problem := range issues.Errors() {
		c.errorf("invalid-literal", c.positions.at(c.positions.offset(problem.ExprID)), "", "format: %s", problem.Message)
	}
}

// noConfig keeps CEL's validators at their defaults.
type noConfig struct{}

func (noConfig) GetOrDefault(_ string, v any) any { return v }
