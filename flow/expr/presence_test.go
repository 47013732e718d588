package expr_test

import (
	"testing"

	"facteur/flow/expr"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What can be read of a step, by what is known about it: "" or the message.
func TestPresence(t *testing.T) {
	const (
		replyMayNotHaveRun = "steps.reply may not have run"
		idMayBeAbsent      = "steps.ran.outputs.message_id may be absent: the step may have failed"
		repeatsMayBeAbsent = "steps.notify.outputs.repeats may be absent: the step may succeed without it"
	)
	for source, want := range map[string]string{
		// Without a test.
		`steps.notify.outputs.message_id`:     "",
		`steps.notify.outputs.repeats`:        repeatsMayBeAbsent,
		`steps.ran.outputs.status_code`:       "",
		`steps.ran.outputs`:                   "",
		`steps.ran.outputs.message_id`:        idMayBeAbsent,
		`(steps.ran.outputs.message_id)`:      idMayBeAbsent,
		`steps.reply.outputs.text`:            replyMayNotHaveRun,
		`steps.reply.outputs`:                 replyMayNotHaveRun,
		`steps.maybe.outputs.text`:            "steps.maybe may not have run",
		`steps.failed.error.code`:             "",
		`steps.ran.error.code`:                "steps.ran.error may be absent: the step may not have failed",
		`steps.notify.error`:                  "steps.notify.error may be absent: the step may not have failed",
		`steps.reply.status`:                  "",
		`steps.reply.attempts`:                "",
		`steps.inner.status`:                  "steps.inner cannot be read here: it runs in a sibling branch",
		`has(steps.inner.outputs.message_id)`: "steps.inner cannot be read here: it runs in a sibling branch",
		`steps.?inner.outputs.message_id`:     "steps.inner cannot be read here: it runs in a sibling branch",

		`steps.notify.outputs.?repeats.orValue("")`:                                                                    "",
		`has(steps.notify.outputs.repeats) && steps.notify.outputs.repeats != ""`:                                      "",
		`steps.ran.status == "succeeded" && steps.ran.outputs.repeats == ""`:                                           "steps.ran.outputs.repeats may be absent: the step may succeed without it",
		`has(steps.ran.outputs.repeats) && steps.ran.outputs.repeats == ""`:                                            "",
		`(steps.ran.status == "succeeded" || has(steps.ran.outputs.repeats)) && steps.ran.outputs.repeats == ""`:       "steps.ran.outputs.repeats may be absent: the step may succeed without it",
		`(steps.ran.status == "succeeded" || has(steps.ran.outputs.message_id)) && steps.ran.outputs.message_id == ""`: "",

		// && || ! ?: from left to right.
		`steps.reply.status == "succeeded" && steps.reply.outputs.text == ""`:                                                   "",
		`"succeeded" == steps.reply.status && steps.reply.outputs.text == ""`:                                                   "",
		`steps.reply.outputs.text == "" && steps.reply.status == "succeeded"`:                                                   replyMayNotHaveRun,
		`steps.reply.status == "succeeded" || steps.reply.outputs.text == ""`:                                                   replyMayNotHaveRun,
		`steps.reply.status != "succeeded" || steps.reply.outputs.text == ""`:                                                   "",
		`!(steps.reply.status != "succeeded") && steps.reply.outputs.text == ""`:                                                "",
		`!(steps.reply.status == "succeeded") || steps.reply.outputs.text == ""`:                                                "",
		`steps.reply.status == "succeeded" ? steps.reply.outputs.text : ""`:                                                     "",
		`steps.reply.status == "succeeded" ? "" : steps.reply.outputs.text`:                                                     replyMayNotHaveRun,
		`steps.reply.status != "succeeded" ? "" : steps.reply.outputs.text`:                                                     "",
		`inputs.urgent && steps.reply.status == "succeeded" && inputs.count > 1 && steps.reply.outputs.text == ""`:              "",
		`(inputs.urgent || steps.reply.status == "succeeded") && steps.reply.outputs.text == ""`:                                replyMayNotHaveRun,
		`(steps.reply.status == "succeeded" || false) && steps.reply.outputs.text == ""`:                                        "",
		`(inputs.urgent ? steps.reply.status == "succeeded" : false) && steps.reply.outputs.text == ""`:                         "",
		`(inputs.urgent ? steps.reply.status == "succeeded" : true) && steps.reply.outputs.text == ""`:                          replyMayNotHaveRun,
		`(inputs.urgent ? steps.reply.status == "succeeded" : has(steps.reply.outputs.text)) && steps.reply.outputs.text == ""`: "",
		`(steps.reply.status == "succeeded") == true && steps.reply.outputs.text == ""`:                                         "",
		`(steps.reply.status == "succeeded") != false && steps.reply.outputs.text == ""`:                                        "",
		`(steps.reply.status == "succeeded") == false && steps.reply.outputs.text == ""`:                                        replyMayNotHaveRun,
		`(steps.reply.status == "succeeded") == inputs.urgent && steps.reply.outputs.text == ""`:                                replyMayNotHaveRun,

		// Outcomes add up.
		`steps.reply.status != "skipped" && steps.reply.outputs.text == ""`:                                       "steps.reply.outputs.text may be absent: the step may have failed",
		`steps.reply.status != "skipped" && steps.reply.status != "failed" && steps.reply.outputs.text == ""`:     "",
		`steps.reply.status in ["succeeded"] && steps.reply.outputs.text == ""`:                                   "",
		`steps.reply.status in ["succeeded", "skipped"] && steps.reply.outputs.text == ""`:                        replyMayNotHaveRun,
		`!(steps.reply.status in ["failed", "skipped"]) && steps.reply.outputs.text == ""`:                        "",
		`(steps.ran.status == "succeeded" || steps.ran.status == "failed") && steps.ran.outputs.message_id == ""`: idMayBeAbsent,
		`steps.ran.status == "succeeded" ? steps.ran.outputs.message_id : steps.ran.error.code`:                   "",
		`steps.maybe.status != "skipped" ? steps.maybe.outputs.text : ""`:                                         "",
		`steps.ran.status == "failed" && steps.ran.error.code == "timeout"`:                                       "",
		`steps.reply.status == "failed" && steps.reply.outputs.text == ""`:                                        "steps.reply.outputs.text may be absent: the step may have failed",

		// has, .? and orValue.
		`has(steps.reply.outputs.text) && steps.reply.outputs.text == ""`:                                              "",
		`has(steps.reply.outputs.text) ? steps.reply.outputs.text : ""`:                                                "",
		`!has(steps.reply.outputs.text) || steps.reply.outputs.text == ""`:                                             "",
		`has(steps.reply.outputs.text) && steps.reply.outputs.score > 1`:                                               "steps.reply.outputs.score may be absent: the step may have failed",
		`has(steps.reply.outputs) && steps.reply.outputs == steps.reply.outputs`:                                       "",
		`has(steps.ran.error) && steps.ran.error.code == ""`:                                                           "",
		`has(steps.ran.error) ? "" : steps.ran.outputs.message_id`:                                                     "",
		`has(steps.ran.outputs.message_id) ? "" : steps.ran.error.code`:                                                "",
		`has(steps.ran.outputs.repeats) ? "" : steps.ran.error.code`:                                                   "steps.ran.error may be absent: the step may not have failed",
		`has(steps.ran.outputs.body.messages) && steps.ran.outputs.body.messages == []`:                                "",
		`has(steps.reply.status) && steps.reply.outputs.text == ""`:                                                    replyMayNotHaveRun,
		`steps.?reply.outputs.text.orValue("") == ""`:                                                                  "",
		`steps.reply.?outputs.text.orValue("") == ""`:                                                                  "",
		`steps.reply.outputs.?text.orValue("") == ""`:                                                                  "",
		`steps.?reply.outputs.text.orValue("") == "oui" && steps.reply.outputs.text != ""`:                             "",
		`steps.?reply.outputs.text.orValue("") != "" && steps.reply.outputs.text != ""`:                                "",
		`steps.?reply.outputs.text.orValue("") == "" && steps.reply.outputs.text != ""`:                                replyMayNotHaveRun,
		`steps.?reply.outputs.text.hasValue() && steps.reply.outputs.text != ""`:                                       "",
		`steps.?ran.outputs.success.orValue(false) && steps.ran.outputs.success`:                                       "",
		`steps.?ran.outputs.body.ok.orValue(false) && steps.ran.outputs.body.ok`:                                       "",
		`steps.?ran.outputs.body.ok.orValue(true) && steps.ran.outputs.body.ok`:                                        "steps.ran.outputs.body may be absent: the step may have failed",
		`steps.?reply.status.orValue("skipped") == "succeeded" && steps.reply.outputs.text == ""`:                      "",
		`steps.?reply.status.orValue("succeeded") == "succeeded" && steps.reply.outputs.text == ""`:                    replyMayNotHaveRun,
		`(has(steps.ran.outputs.message_id) || steps.ran.status == "succeeded") && steps.ran.outputs.message_id == ""`: "",
		`(has(steps.ran.outputs.message_id) || inputs.urgent) && steps.ran.outputs.message_id == ""`:                   idMayBeAbsent,

		// Inside calls, literals and comprehensions.
		`inputs.name + steps.reply.outputs.text`:                                                    replyMayNotHaveRun,
		`size([steps.reply.outputs.text]) + size({"k": steps.ran.outputs.message_id})`:              replyMayNotHaveRun + "; " + idMayBeAbsent,
		`inputs.tags.exists(t, t == steps.reply.outputs.text)`:                                      replyMayNotHaveRun,
		`inputs.tags.exists(t, steps.reply.status == "succeeded" && t == steps.reply.outputs.text)`: "",
		`steps.reply.status == "succeeded" && inputs.tags.exists(t, t == steps.reply.outputs.text)`: "",
		`inputs.tags.map(t, steps.reply.status == "succeeded", steps.reply.outputs.text)`:           "",
		`inputs.tags.map(t, steps.reply.outputs.text)`:                                              replyMayNotHaveRun,
		`inputs.tags.all(t, steps.reply.status != "succeeded" || t == steps.reply.outputs.text)`:    "",
		`inputs.tags.transformList(i, t, steps.reply.outputs.text)`:                                 replyMayNotHaveRun,
		`inputs.orders.map(steps, steps.id)`:                                                        "",
		`inputs.orders.map(steps, steps.id)[0] + steps.reply.outputs.text`:                          replyMayNotHaveRun,
		`.steps.reply.outputs.text`:                                                                 replyMayNotHaveRun,
		`steps.ran.outputs.contacts[0].wa_id`:                                                       "steps.ran.outputs.contacts may be absent: the step may have failed",
		`steps.ran.outputs.contacts[?0].wa_id.orValue("")`:                                          "steps.ran.outputs.contacts may be absent: the step may have failed",
		`steps.ran.outputs.?contacts[0].wa_id.orValue("")`:                                          "",
		`has(steps.ran.outputs.contacts) ? steps.ran.outputs.contacts.map(c, c.wa_id) : []`:         "",
		`e164(steps.reply.outputs.text, "FR")`:                                                      replyMayNotHaveRun,

		// steps is no value.
		`json(steps)`:                "steps as a whole is not a value",
		`steps[inputs.name]`:         "steps cannot be looked up with [ ]: write the id of the step after a dot",
		`steps["reply"].status`:      "steps cannot be looked up with [ ]: write the id of the step after a dot",
		`steps.reply`:                "steps.reply as a whole is not a value",
		`has(steps.reply)`:           "steps.reply as a whole is not a value",
		`steps.?reply`:               "steps.reply as a whole is not a value",
		`steps.reply.status == "ok"`: `the status of reply is never "ok"`,
		`steps.reply.status in ["succeeded", "done"]`: `the status of reply is never "done"`,
	} {
		_, list := expr.Compile(textOf("${"+source+"}"), scope())
		assert.Equal(t, want, messages(list), source)
	}
}

// What a condition proves holds in the steps that it guards.
func TestAssume(t *testing.T) {
	for _, c := range []struct{ condition, yes, no string }{
		{`steps.reply.status == "succeeded"`, `steps.reply.outputs.text`, ``},
		{`steps.reply.status != "succeeded"`, ``, `steps.reply.outputs.text`},
		{`steps.ran.status == "failed"`, `steps.ran.error.code`, `steps.ran.outputs.message_id`},
		{`has(steps.ran.outputs.message_id)`, `steps.ran.outputs.message_id`, `steps.ran.error.code`},
		{`steps.?reply.outputs.text.orValue("") == "oui"`, `steps.reply.outputs.text`, ``},
		{`inputs.urgent`, ``, ``},
		{`true`, ``, `inputs.name`},
	} {
		s := scope()
		p, yes, no, list := expr.Condition(textOf(c.condition), s)
		require.Empty(t, list, c.condition)
		require.NotNil(t, p)
		for source, holds := range map[string]expr.Facts{c.yes: yes, c.no: no} {
			if source == "" {
				continue
			}
			inside := s.Fork()
			inside.Assume(holds)
			_, list = expr.Compile(textOf("${"+source+"}"), inside)
			assert.Empty(t, list, "%s proves %s", c.condition, source)
		}
		if c.yes != "" {
			_, list = expr.Compile(textOf("${"+c.yes+"}"), s)
			assert.NotEmpty(t, list, "a fork does not change its origin")
		}
	}
}

// In later cases of a switch the conditions of the earlier ones are false.
func TestAssumeInTurn(t *testing.T) {
	s := scope()
	for _, condition := range []string{`steps.reply.status == "skipped"`, `steps.reply.status == "failed"`} {
		_, _, no, list := expr.Condition(textOf(condition), s)
		require.Empty(t, list)
		s.Assume(no)
	}
	_, list := expr.Compile(textOf("${steps.reply.outputs.text}"), s)
	assert.Empty(t, list)
	st, ok := s.Step("reply")
	assert.True(t, ok)
	assert.Equal(t, expr.Succeeded, st.Outcomes)
	s.SetStep("reply", expr.Step{Outputs: replyOutputs, Outcomes: expr.Skipped | expr.Succeeded})
	_, list = expr.Compile(textOf("${steps.reply.outputs.text}"), s)
	assert.Equal(t, "steps.reply may not have run", messages(list), "what is set anew is no longer proved")
}
