package expr_test

import (
	"fmt"
	"strings"
	"testing"

	"facteur/flow/diag"
	"facteur/flow/expr"

	"github.com/stretchr/testify/assert"
)

// format formats each diagnostic as `the text at its range: message [code] (hint)`.
func format(list diag.List) string {
	list.Sort()
	var b strings.Builder
	for _, d := range list {
		fmt.Fprintf(&b, "%s: %s [%s]", d.Range.Source.Text[d.Range.Start:d.Range.End], d.Message, d.Code)
		if d.Hint != "" {
			fmt.Fprintf(&b, " (%s)", d.Hint)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestDiagnostics(t *testing.T) {
	const (
		inputs = "inputs: count, extra, free, name, order, orders, pause, phone, price, prices, tags, urgent, when"
		steps  = "steps that can be read here: failed, maybe, notify, ran, reply"
	)
	for source, want := range map[string]string{
		// Names.
		"${inputs.phon}":                     `phon: inputs has no field "phon" [unknown-field] (did you mean "phone"? ` + inputs + `)`,
		"${'é' + inputs.phon}":               `phon: inputs has no field "phon" [unknown-field] (did you mean "phone"? ` + inputs + `)`,
		"é ${ inputs . phon }":               `phon: inputs has no field "phon" [unknown-field] (did you mean "phone"? ` + inputs + `)`,
		"${has(inputs.phon)}":                `phon: inputs has no field "phon" [unknown-field] (did you mean "phone"? ` + inputs + `)`,
		"${inputs.?phon}":                    `phon: inputs has no field "phon" [unknown-field] (did you mean "phone"? ` + inputs + `)`,
		"${inputs.order.nte}":                `nte: inputs.order has no field "nte" [unknown-field] (did you mean "note"? inputs.order: id, note)`,
		"${inputs.orders[0].totl}":           `totl: this value has no field "totl" [unknown-field] (did you mean "total"? this value: id, total)`,
		"${input.phone}":                     `input: there is nothing called "input" [unknown-name] (did you mean "inputs"? names here: inputs, run, settings, steps, vars)`,
		"${steps.notfy.outputs.x}":           `notfy: there is no step "notfy" [unknown-field] (did you mean "notify"? ` + steps + `)`,
		"${steps.notify.message_id}":         `message_id: steps.notify has no field "message_id" [unknown-field] (its outputs are read as steps.notify.outputs.message_id)`,
		"${notify}":                          `notify: there is nothing called "notify" [unknown-name] (steps are read as steps.notify)`,
		"${lang}":                            `lang: there is nothing called "lang" [unknown-name] (variables are read as vars.lang)`,
		"${vars.langue}":                     `langue: vars has no field "langue" [unknown-field] (did you mean "lang"? vars: lang, texts)`,
		"${error.code}":                      `error: there is no error here [unknown-name] (error exists only in catch and on_failure; elsewhere read steps.<id>.error)`,
		"${event.text}":                      `event: there is no event here [unknown-name] (event exists only in triggers and in the when of wait_for; afterwards read the step's outputs)`,
		"${inputs.count.foo}":                `foo: inputs.count has no fields: it is int [unknown-field]`,
		"${steps[inputs.name].status}":       `[: steps cannot be looked up with [ ]: write the id of the step after a dot [not-a-value] (name the step: steps.<id>.outputs)`,
		"${steps['reply'].status}":           `[: steps cannot be looked up with [ ]: write the id of the step after a dot [not-a-value] (write steps.reply)`,
		"${json(steps)}":                     `steps: steps as a whole is not a value [not-a-value] (read one step, such as steps.<id>.outputs; ` + steps + `)`,
		"${steps.notify}":                    `steps.notify: steps.notify as a whole is not a value [not-a-value] (read steps.notify.status, steps.notify.outputs, steps.notify.attempts or steps.notify.error)`,
		"${inputs['phone']}":                 `[: [ ] works on lists and maps, but inputs is an object [type-mismatch] (write inputs.phone)`,
		"${steps.reply.outputs.text}":        "steps.reply: steps.reply may not have run [maybe-unset] (add `if: steps.reply.status == \"succeeded\"`, or write `steps.?reply.outputs.text.orValue(\"\")`)",
		"${-steps.reply.outputs.score}":      "steps.reply: steps.reply may not have run [maybe-unset] (add `if: steps.reply.status == \"succeeded\"`, or write `steps.?reply.outputs.score.orValue(0)`)",
		"${steps.ran.error.code}":            "steps.ran.error: steps.ran.error may be absent: the step may not have failed [maybe-unset] (add `if: steps.ran.status == \"failed\"`, or write `steps.?ran.error.code.orValue(\"\")`)",
		"${steps.reply.status == 'failled'}": `'failled': the status of reply is never "failled" [unknown-status] (did you mean "failed"? a step's status: failed, skipped, succeeded)`,

		"${phone}": `phone: there is nothing called "phone" [unknown-name] (write inputs.phone)`,

		// Functions.
		"${inputs.name.toUpperCase()}": `toUpperCase: there is no function "toUpperCase" [unknown-function] (x.upperAscii() converts a string to upper case)`,
		"${inputs.name.length > 3}":    `length: inputs.name has no fields: it is string [unknown-field] (write size(inputs.name))`,
		"${inputs.name == null}":       `==: string cannot be compared with null [type-mismatch] (it is never null: compare it with a value such as "", or test with has(…) whether it is present)`,
		"${env.TOKEN}":                 `env: there is nothing called "env" [unknown-name] (expressions cannot read the environment or secrets: put plain values under settings: in the project file, and name credentials with connection: on the step)`,
		"${len(inputs.name)}":          `len: there is no function "len" [unknown-function] (size(x) counts the characters of a string or the elements of a list or map)`,
		"${inputs.name.lower()}":       `lower: there is no function "lower" [unknown-function] (did you mean lowerAscii? usage: string.lowerAscii())`,
		"${now(1)}":                    `now: now cannot be called like this [unknown-function] (usage: now())`,
		"${now}":                       `now: there is nothing called "now" [unknown-name] (it is a function: now())`,
		"${inputs.?name.orElse('')}":   `orElse: there is no function "orElse" [unknown-function] (x.?field.orValue(y) gives y if the field is absent)`,
		"${nope(1)}":                   `nope: there is no function "nope" [unknown-function]`,
		"${maths.ceil(1.5)}":           "maths: there is nothing called \"maths\" [unknown-name] (names here: inputs, run, settings, steps, vars)\nceil: there is no function \"ceil\" [unknown-function] (did you mean math.ceil? usage: math.ceil(double))",

		// Types.
		"${inputs.name + inputs.count}":       `+: + does not take string and int [type-mismatch] (write string(inputs.count))`,
		"${inputs.price * inputs.count}":      `*: * does not take double and int [type-mismatch] (write double(inputs.count))`,
		"${inputs.name == inputs.count}":      `==: string cannot be compared with int [type-mismatch] (write string(inputs.count))`,
		"${inputs.name == 131026}":            `==: string cannot be compared with int [type-mismatch] (put it in quotes: "131026")`,
		"${'3' != inputs.count}":              `!=: string cannot be compared with int [type-mismatch] (write 3, without quotes)`,
		"${inputs.tags > 1}":                  `>: > does not take list of string and int [type-mismatch]`,
		"${steps.?reply.outputs.text == 'x'}": `==: optional string cannot be compared with string [type-mismatch] (give a fallback value: steps.?reply.outputs.text.orValue(""))`,
		"${inputs.phone.startsWith(1)}":       `startsWith: startsWith does not take string and int [type-mismatch] (usage: string.startsWith(string))`,
		"${random('a', 2)}":                   `random: random does not take string and int [type-mismatch] (usage: random(int, int))`,
		"${inputs.tags.join(1)}":              `join: join does not take list of string and int [type-mismatch] (usage: list.join(), list.join(string))`,
		"${inputs.urgent ? 1 : 'x'}":          `?: both sides of : must have the same type, but these are int and string [type-mismatch]`,
		"${inputs.count ? 1 : 2}":             `inputs.count: a condition must be bool, but this is int [type-mismatch]`,
		"${inputs.urgent && inputs.name}":     `inputs.name: a condition must be bool, but this is string [type-mismatch] (compare it with a value, such as inputs.name != "")`,
		"${!inputs.count}":                    `!: ! does not take int [type-mismatch] (compare it with a value, such as inputs.count == 0)`,
		"${inputs.count > '3'}":               `>: > does not take int and string [type-mismatch] (write 3, without quotes)`,
		"${now() - '24h'}":                    `-: - does not take timestamp and string [type-mismatch] (write duration("24h"))`,
		"${now() < '2026-01-31T08:00:00Z'}":   `<: < does not take timestamp and string [type-mismatch] (write timestamp("2026-01-31T08:00:00Z"))`,
		"${inputs.tags.filter(t, t)}":         `t: a condition must be bool, but this is string [type-mismatch]`,
		"${inputs.count.map(x, x)}":           `inputs.count: only a list or a map can be iterated over, but this is int [type-mismatch]`,
		"${inputs.?tags.map(x, x)}":           `inputs.?tags: only a list or a map can be iterated over, but this is optional list of string [type-mismatch] (give a fallback, such as .orValue([]))`,
		"a ${inputs.tags}":                    `${inputs.tags}: a list cannot be inserted into text [not-text] (use .join(", ") or json(…))`,
		"a ${inputs.order}":                   `${inputs.order}: an object cannot be inserted into text [not-text] (use one of its fields, or json(…))`,
		"a ${null}":                           `${null}: null cannot be inserted into text [not-text] (remove it, or choose a value with ? :)`,
		"a ${inputs.?count}":                  `${inputs.?count}: an optional value cannot be inserted into text [not-text] (give a fallback value, such as .orValue(0))`,
		"${b'abc'}":                           `b'abc': a flow cannot hold bytes [not-a-value] (write base64.encode(…), or string(…) for text in UTF-8)`,
		"${ {1: 2} }":                         `{1: 2}: the keys of a map must be strings, but these are int [not-a-value] (write string(…) around the keys)`,
		"${type(1)}":                          `type(1): a flow cannot hold a type [not-a-value]`,

		// Literals.
		"${'x'.matches('(')}":        "'(': the regular expression is not valid: missing closing ): `(` [invalid-literal]",
		"${regex.extract('x', '[')}": "'[': the regular expression is not valid: missing closing ]: `[` [invalid-literal]",
		"${duration('7 days')}":      `'7 days': "7 days" is not a duration; write one such as "90s", "24h" or "7d" [invalid-literal]`,
		"${timestamp('2026-13-01')}": `'2026-13-01': "2026-13-01" is not a timestamp; write one such as "2026-01-31T08:00:00Z" [invalid-literal]`,
		"${e164('0', 'XX')}":         `'XX': "XX" is not a region; write one such as "FR" [invalid-literal]`,

		"${format(now(), 'DD/MM/YY', 'UTC')}":  `'DD/MM/YY': the layout "DD/MM/YY" contains YY, but only YYYY, MM, DD, HH, mm and ss are known; put words outside of it [invalid-literal]`,
		"${format(now(), 'HH heures', 'UTC')}": `'HH heures': the layout "HH heures" contains s, but only YYYY, MM, DD, HH, mm and ss are known; put words outside of it [invalid-literal]`,
		"${format(now(), 'DD', 'Paris')}":      `'Paris': "Paris" is not a time zone; write one such as "Europe/Paris", "UTC" or "+02:00" [invalid-literal] (did you mean "Europe/Paris"?)`,
		"${now().getHours('Europe/Pari')}":     `'Europe/Pari': "Europe/Pari" is not a time zone; write one such as "Europe/Paris", "UTC" or "+02:00" [invalid-literal] (did you mean "Europe/Paris"?)`,
		"${now().getDate('Local')}":            `'Local': "Local" is not a time zone; write one such as "Europe/Paris", "UTC" or "+02:00" [invalid-literal]`,
		"${format(inputs.name, 'DD', 'UTC')}":  `format: format does not take string and string and string [type-mismatch] (usage: string.format(list), format(timestamp, string, string))`,
		"${pad(inputs.name, 3)}":               `pad: pad does not take string and int [type-mismatch] (usage: pad(int, int))`,

		// Syntax.
		"${now() - 1d}":                `d: 1d is not a number [expression-syntax] (write a duration as duration("1d"))`,
		"${now() + 1h30m > now()}":     `h30m: 1h30m is not a number [expression-syntax] (write a duration as duration("1h30m"))`,
		"${now() > 2x}":                `x: unexpected x [expression-syntax]`,
		"${inputs.name ==}":            `: the expression ends too early [expression-syntax]`,
		"${(inputs.name}":              `: the expression ends too early [expression-syntax] (a ( is never closed)`,
		"${inputs.name = 'x'}":         `=: unexpected = [expression-syntax] (== compares two values)`,
		"${inputs.name ?? 'x'}":        `?: unexpected ?? [expression-syntax] (to read what may be absent, write a.?b.orValue(""))`,
		"${inputs.name 'x'}":           `': a string is not expected here [expression-syntax] (put an operator such as + before it, or , between arguments)`,
		"${inputs.urgent and true}":    `and: unexpected and [expression-syntax] (&& is “and”)`,
		"${inputs.urgent & true}":      `&: unexpected & [expression-syntax] (&& joins two conditions)`,
		"${not inputs.urgent}":         `inputs: unexpected inputs [expression-syntax] (! is “not”)`,
		"${‘x’}":                       `‘: unexpected ‘ [expression-syntax] (strings are written between straight quotes, "…" or '…')`,
		"${a ${b} }":                   `${: unexpected ${ [expression-syntax] (inside an expression, write a name without ${ })`,
		"${has(inputs)}":               `inputs: has(…) takes a field, such as has(inputs.name) [expression-syntax]`,
		"${inputs.tags.map(1, 2)}":     `1: the first argument names the element, such as list.map(x, x + 1) [expression-syntax]`,
		"${inputs.urgent ? 1}":         `: the expression ends too early [expression-syntax] (a condition with ? needs both values: test ? yes : no)`,
		`${inputs.name in ("a", "b")}`: `,: unexpected , [expression-syntax] (write a list between [ and ])`,
		"${1 1}":                       `1: unexpected 1 [expression-syntax]`,
		"${inputs.order?.note}":        `: the expression ends too early [expression-syntax] (to read what may be absent, write a.?b with the dot first)`,
		"${if inputs.urgent then 1}":   `if: unexpected if, which is a reserved word in expressions [expression-syntax] (condition ? a : b chooses one of two values)`,
		"${inputs.count\u00a0> 1}":     "\u00a0: unexpected special space, U+00A0 [expression-syntax] (replace it with an ordinary space)",
		"${{ inputs.name }}":           `${{: ${{ … }} is not an expression here [double-braces] (write ${ … } with one brace; a map literal needs a space: ${ {…} })`,
		"${}":                          "${}: there is no expression in ${} [empty-expression] (write an expression such as ${inputs.phone}, or $${ for the text ${)",
		"x ${ inputs.name":             "${: this ${ is never closed [unterminated-expression] (close it with })",
		"x ${'abc}":                    "${: this ${ is never closed [unterminated-expression] (a quote in it is never closed: 'abc})",
		"x ${a // b}":                  "${: this ${ is never closed [unterminated-expression] (// starts a comment that runs to the end of the line; close the expression with })",

		// All of them are reported.
		"${a.b + c}": `a: there is nothing called "a" [unknown-name] (names here: inputs, run, settings, steps, vars)` + "\n" +
			`c: there is nothing called "c" [unknown-name] (names here: inputs, run, settings, steps, vars)`,
		"${inputs.x}, ${1 +}, ${inputs.tags}": `x: inputs has no field "x" [unknown-field] (` + inputs + `)` + "\n" +
			`: the expression ends too early [expression-syntax]` + "\n" +
			`${inputs.tags}: a list cannot be inserted into text [not-text] (use .join(", ") or json(…))`,
		"${inputs.name +\n inputs.nope + inputs.count + steps.reply.outputs.text}": `nope: inputs has no field "nope" [unknown-field] (` + inputs + `)` + "\n" +
			"+: + does not take string and int [type-mismatch] (write string(inputs.count))\n" +
			"steps.reply: steps.reply may not have run [maybe-unset] (add `if: steps.reply.status == \"succeeded\"`, or write `steps.?reply.outputs.text.orValue(\"\")`)",
	} {
		p, list := expr.Compile(textOf(source), scope())
		assert.Nil(t, p, source)
		assert.Equal(t, want, format(list), source)
	}
}

func TestScan(t *testing.T) {
	for source, want := range map[string]string{
		"":                "",
		"plain $ $x {}":   "'plain $ $x {}'",
		"a ${b} c":        "'a ' <b> ' c'",
		"${a}${b}":        "<a> <b>",
		"$${a} $$${b} $$": "'${a} $${b} $$'",
		"${'}'}":          "<'}'>",
		`${"\"}"}`:        `<"\"}">`,
		`${'\\'}}`:        `<'\\'> '}'`,
		`${r'\'}`:         `<r'\'>`,
		`${br"\"}`:        `<br"\">`,
		`${var'\''}`:      `<var'\''>`,
		"${'''}'}'''}":    "<'''}'}'''>",
		"${ {'a': {}} }":  "< {'a': {}} >",
		"${a // }\n}":     "<a // }\n>",
		"${a / b}":        "<a / b>",
		"${a":             "error",
		"${'a}":           "error",
		"${'a\n'}":        "error",
		"${{a}} ${b}":     "error",
		"${ } ${b}":       "error",
	} {
		parts, list := expr.Scan(textOf(source))
		got := make([]string, len(parts))
		for i, part := range parts {
			got[i] = "'" + part.Text + "'"
			if part.Expr != nil {
				got[i] = "<" + part.Expr.Value + ">"
				at := part.Expr.Range(0, len(part.Expr.Value))
				assert.Equal(t, part.Expr.Value, source[at.Start:at.End], source)
				assert.Equal(t, "${"+part.Expr.Value+"}", source[part.Range.Start:part.Range.End], source)
			}
		}
		if want == "error" {
			assert.Len(t, list, 1, source)
			continue
		}
		assert.Empty(t, list, source)
		if want == "" {
			want = "''"
		}
		assert.Equal(t, want, strings.Join(got, " "), source)
	}
}
