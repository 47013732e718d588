package whatsapp

import (
	"fmt"
	"slices"
	"strings"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"

	"github.com/nyaruka/phonenumbers"
)

// A lint compares template messages with the project's copy of the templates. It runs at
// load only: Meta's templates may have changed by the time of a send, so a copy never
// stops one.
type lint struct {
	found   schema.Violations
	refused []graph.Error // how Meta puts some of them
	input   schema.Value  // of the send
	book    *AddressBook
}

// lint is the Lint of a send.
func (s *sender) lint(in schema.Value) schema.Violations {
	if s.Templates == nil {
		return nil
	}
	l := &lint{input: in, book: s.book}
	for _, holder := range []schema.Value{in, in.Get("fallback")} {
		kind, _ := holder.Get("message_type").Text()
		isFallback := len(holder.Path()) > 0 && holder.Present() && !holder.Get("message_type").Present()
		if message := holder.Get("message"); message.Present() && (isFallback || strings.EqualFold(kind, templateType)) {
			l.message(message, s.Templates)
		}
	}
	return l.found
}

func (l *lint) say(rule string, at schema.Value, hint, format string, args ...any) {
	l.found = append(l.found, schema.Violation{Path: at.Path(), Rule: rule, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

const pullHint = `if the account has it, read its templates again: facteur templates pull`

func (l *lint) message(m schema.Value, look func() (*Templates, error)) {
	templates, err := look()
	switch {
	case err != nil:
		l.say("template-files", m, "", "the project's templates cannot be read: %v", err)
		return
	case templates == nil:
		return
	}
	name, ok := m.Get("name").Text()
	if !ok {
		return // not known yet, or missing, which the type says
	}
	all := templates.Named(name)
	if len(all) == 0 {
		l.say("template-unknown", m.Get("name"), nearest(name, templates.names()), "the account has no template %s", mention(name))
		return
	}
	language := m.Get("language", "code")
	if code, ok := language.Text(); ok {
		i := slices.IndexFunc(all, func(d *TemplateDefinition) bool { return d.Language == code })
		if i < 0 {
			l.say("template-language", language, languageHint(code, all), "the template %s is not there in %s (Meta: 132001, %s)", name, mention(code), NoTemplate(name, code).Details)
			return
		}
		all = all[i : i+1]
	}
	l.inAll(all, m)
}

// inAll reports what is wrong in each of the languages that may be meant.
func (l *lint) inAll(all []*TemplateDefinition, m schema.Value) {
	var common schema.Violations
	for i, d := range all {
		one := &lint{input: l.input, book: l.book}
		one.template(d, m)
		if i == 0 {
			common = one.found
			continue
		}
		common = slices.DeleteFunc(common, func(v schema.Violation) bool {
			return !slices.ContainsFunc(one.found, func(w schema.Violation) bool {
				return v.Rule == w.Rule && v.Path.String() == w.Path.String()
			})
		})
	}
	l.found = append(l.found, common...)
}

func languageHint(code string, all []*TemplateDefinition) string {
	hint := "it is there in " + strings.Join(languages(all), ", ")
	short, _, _ := strings.Cut(code, "_")
	for _, d := range all {
		if other, _, _ := strings.Cut(d.Language, "_"); strings.EqualFold(other, short) {
			return fmt.Sprintf("write %s: %s and %s are different languages; %s", d.Language, code, d.Language, hint)
		}
	}
	return hint
}

// nearest suggests the name that was meant.
func nearest(name string, names []any) string {
	if len(names) == 0 {
		return pullHint
	}
	_, found := (&schema.Type{Kind: schema.String, Enum: names}).Coerce(name)
	if len(found) == 0 {
		return pullHint
	}
	return strings.Replace(found[0].Hint, "allowed:", "templates:", 1) + "; " + pullHint
}

// template compares a message with the template that it names.
func (l *lint) template(d *TemplateDefinition, m schema.Value) {
	if d.Status != "" && d.Status != Approved {
		why := ""
		if d.RejectedReason != "" {
			why = ": " + d.RejectedReason
		}
		l.say("template-status", m.Get("name"), "if that has changed: facteur templates pull", "the template %s (%s) is %s%s, and only templates that are APPROVED are sent", d.Name, d.Language, d.Status, why)
	}
	l.recipient(d)
	if components := m.Get("components"); !components.IsUnknown() {
		f := filling{lint: l, template: d, named: d.named()}
		f.parts(d.shape, m, components, "")
	}
}

// recipient looks at whom a template of its category goes to.
func (l *lint) recipient(d *TemplateDefinition) {
	at := l.input.Get("recipient")
	text, ok := at.Text()
	if !ok {
		return
	}
	switch to := l.book.look(text); {
	case to.err != nil:
	case d.Category == "AUTHENTICATION" && to.userID != "":
		l.say("template-user-id", at, "give the phone number", "%s is a business-scoped user ID, and authentication templates only go to phone numbers (Meta: 131062)", mention(text))
	case d.Category == "MARKETING" && isAmerican(to.phone):
		l.found = append(l.found, schema.Violation{
			Path: at.Path(), Rule: "template-marketing-us", Warning: true, Hint: "reach the person in another way, or with a utility template",
			Message: "Meta delivers no marketing templates to numbers of the United States since April 2025 (131049), and " + d.Name + " is one",
		})
	}
}

func isAmerican(phone string) bool {
	number, err := phonenumbers.Parse(phone, "")
	return err == nil && number.GetCountryCode() == 1 && phonenumbers.GetRegionCodeForNumber(number) == "US"
}

// named tells whether parameters go by name.
func (d *TemplateDefinition) named() bool {
	if d.ParameterFormat != "" {
		return d.ParameterFormat == "NAMED"
	}
	for _, name := range append(slices.Clone(d.shape.body), d.shape.title...) {
		if !areDigits(name) {
			return true
		}
	}
	return false
}

// lookupRules explain what a lint finds.
func lookupRules() []rule {
	const page = "Cloud API, template messages, and the account's own templates"
	return []rule{
		{id: "template-files", doc: "The files in templates/ are those that facteur templates pull writes.", hint: "write them anew: facteur templates pull", source: "Facteur"},
		{id: "template-unknown", doc: "A template message names a template that the account has (132001).", hint: pullHint, source: page},
		{id: "template-language", doc: "A template message names a language that the template has; en and en_US are different (132001).", hint: pullHint, source: page},
		{id: "template-status", doc: "Only templates whose status is APPROVED are sent (132001, 132015, 132016).", source: page},
		{id: "template-user-id", doc: "Authentication templates go to phone numbers, not to business-scoped user IDs (131062).", source: "Business-scoped user IDs"},
		{id: "template-marketing-us", doc: "Meta delivers no marketing templates to numbers of the United States (131049).", warning: true, source: "Per-user marketing limits"},
		{id: "template-parameter-count", doc: "A message gives each part of a template as many parameters as it has (132000, 131008).", source: page},
		{id: "template-parameter-kind", doc: "A message gives each part of a template parameters of the kind that it takes: a header with an image takes an image (132012).", source: page},
		{id: "template-parameter-unnamed", doc: "Where a template names its parameters, the message names them, with the same names; where it numbers them, it names none.", source: page},
		{id: "template-button-other", doc: "A button component means a button that the template has, by its place, and says its kind.", source: page},
		{id: "template-cards-count", doc: "A message fills in as many cards as the carousel of the template has.", source: page},
	}
}
