package whatsapp

import (
	"slices"
	"strings"

	"facteur/actions/whatsapp/templates"
	"facteur/flow/schema"

	"github.com/nyaruka/phonenumbers"
)

// lint compares template messages with the project's copy of the templates. It runs only when
// a flow is loaded: a template may have changed by the time of a send, so the copy stops none.
func (s *sender) lint(in schema.Value) (found schema.Violations) {
	if s.Templates == nil {
		return nil
	}
	for _, holder := range []schema.Value{in, in.Get("fallback")} {
		kind, _ := holder.Get("message_type").Text()
		isFallback := len(holder.Path()) > 0 && holder.Present() && !holder.Get("message_type").Present()
		message := holder.Get("message")
		if !message.Present() || !isFallback && !strings.EqualFold(kind, templateType) {
			continue
		}
		switch known, err := s.Templates(); {
		case err != nil:
			found = append(found, schema.Violation{Path: message.Path(), Rule: "template-files", Message: "the project's templates cannot be read: " + err.Error()})
		case known != nil:
			meant, wrong := known.Check(message)
			found = append(append(found, wrong...), s.lintAudience(meant, in.Get("recipient"))...)
		}
	}
	return found
}

// lintAudience checks whether Meta delivers templates of this category to the recipient.
func (s *sender) lintAudience(all []*templates.Definition, at schema.Value) schema.Violations {
	text, ok := at.Text()
	if !ok || len(all) == 0 {
		return nil
	}
	are := func(category string) bool {
		return !slices.ContainsFunc(all, func(d *templates.Definition) bool { return d.Category != category })
	}
	switch to := s.recipients.parse(text); {
	case to.err != nil:
	case are("AUTHENTICATION") && to.userID != "":
		return schema.Violations{{Path: at.Path(), Rule: "template-user-id", Hint: "give the phone number",
			Message: mention(text) + " is a business-scoped user ID, but authentication templates can be sent only to phone numbers (Meta: 131062)"}}
	case are("MARKETING") && isAmerican(to.phone):
		return schema.Violations{{Path: at.Path(), Rule: "template-marketing-us", Warning: true, Hint: "reach the person in another way, or use a utility template",
			Message: "Meta has delivered no marketing templates to United States numbers since April 2025 (131049), and " + all[0].Name + " is one"}}
	}
	return nil
}

func isAmerican(phone string) bool {
	number, err := phonenumbers.Parse(phone, "")
	return err == nil && number.GetCountryCode() == 1 && phonenumbers.GetRegionCodeForNumber(number) == "US"
}

// lintRules documents the rules of lint and of package templates.
func lintRules() []rule {
	const page = "Cloud API, template messages, and the account's own templates"
	return []rule{
		{id: "template-files", doc: "The files in templates/ must be as facteur templates pull writes them.", hint: "write them again with facteur templates pull", source: "Facteur"},
		{id: "template-unknown", doc: "A template message must name one of the account's templates (132001).", hint: templates.PullHint, source: page},
		{id: "template-language", doc: "A template message must name one of the template's languages; en and en_US are different (132001).", hint: templates.PullHint, source: page},
		{id: "template-status", doc: "Only templates whose status is APPROVED can be sent (132001, 132015, 132016).", source: page},
		{id: "template-user-id", doc: "Authentication templates can be sent only to phone numbers, not to business-scoped user IDs (131062).", source: "Business-scoped user IDs"},
		{id: "template-marketing-us", doc: "Meta delivers no marketing templates to United States numbers (131049).", warning: true, source: "Per-user marketing limits"},
		{id: "template-parameter-count", doc: "A message must give each part of a template exactly as many parameters as that part has (132000, 131008).", source: page},
		{id: "template-parameter-kind", doc: "A message must give each part of a template parameters of the right type: a header with an image takes an image (132012).", source: page},
		{id: "template-parameter-unnamed", doc: "If a template names its parameters, the message must use the same names; if it numbers them, the message must not name them.", source: page},
		{id: "template-button-other", doc: "A button component must refer, by index, to a button that the template has, and give its kind.", source: page},
		{id: "template-cards-count", doc: "A message must fill in exactly as many cards as the template's carousel has.", source: page},
	}
}
