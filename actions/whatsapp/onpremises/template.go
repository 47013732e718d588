package onpremises

import (
	"strconv"
	"strings"

	"facteur/flow/schema"
)

// template turns hsm into template, and mends the template.
func (m *migration) template() {
	b := m.body
	if hsm, ok := b["hsm"].(map[string]any); ok {
		delete(b, "hsm")
		b["template"] = m.hsm(hsm)
		m.change(schema.Path{"template"}, "converted from hsm")
	}
	if kind, _ := b["type"].(string); b["template"] != nil && kind != "template" && (kind == "hsm" || kind == "") {
		b["type"] = "template"
		m.change(schema.Path{"type"}, "is template")
	}
	template, ok := b["template"].(map[string]any)
	if !ok {
		return
	}
	if _, ok := template["namespace"]; ok {
		delete(template, "namespace")
		m.change(schema.Path{"template", "namespace"}, "left out: templates of the Cloud API have no namespace")
	}
	language, _ := template["language"].(map[string]any)
	if code, ok := template["language"].(string); ok {
		language = map[string]any{"code": code}
		template["language"] = language
		m.change(schema.Path{"template", "language"}, "converted to an object with a code")
	}
	if policy, ok := language["policy"].(string); ok && policy != "deterministic" {
		delete(language, "policy")
		m.change(schema.Path{"template", "language", "policy"}, "left out %q: Meta accepts only deterministic", policy)
		m.todo(schema.Path{"template", "language", "code"}, "make sure that the template exists in this language: there is no fallback to another one")
	}
	if list, ok := template["components"].([]any); ok {
		m.components(schema.Path{"template", "components"}, list)
	}
}

// hsm makes a template of an hsm.
func (m *migration) hsm(hsm map[string]any) map[string]any {
	template := map[string]any{"name": hsm["element_name"], "language": hsm["language"]}
	if hsm["language"] == nil {
		template["language"] = map[string]any{}
		m.todo(schema.Path{"template", "language"}, "add the code of the language")
	}
	var list []any
	params, _ := hsm["localizable_params"].([]any)
	for i, p := range params {
		list = append(list, m.localizable(schema.Path{"template", "components", 0, "parameters", i}, p))
	}
	if len(list) > 0 {
		template["components"] = []any{map[string]any{"type": "body", "parameters": list}}
	}
	return template
}

// localizable makes a parameter of a localizable_param.
func (m *migration) localizable(path schema.Path, p any) any {
	text := get(p, "default")
	switch {
	case get(p, "currency") != nil:
		currency := get(p, "currency")
		amount, ok := integer(get(currency, "amount_1000"))
		if !ok {
			m.todo(append(path, "currency", "amount_1000"), "add the amount times 1000")
		}
		code := get(currency, "currency_code")
		if code == nil {
			code = get(currency, "code")
		}
		return map[string]any{"type": "currency", "currency": map[string]any{"fallback_value": text, "code": code, "amount_1000": amount}}
	case get(p, "date_time") != nil:
		return map[string]any{"type": "date_time", "date_time": map[string]any{"fallback_value": text}}
	}
	return map[string]any{"type": "text", "text": text}
}

// components mends the components of a template, or of a card.
func (m *migration) components(path schema.Path, list []any) {
	taken := map[string]bool{}
	for _, v := range list {
		if text, ok := scalarOf(get(v, "index")); ok {
			taken[text] = true
		}
	}
	next := 0
	for i, v := range list {
		component, ok := v.(map[string]any)
		if !ok {
			continue
		}
		at := append(path, i)
		if kind, _ := component["type"].(string); strings.EqualFold(strings.TrimSpace(kind), "button") {
			m.button(at, component, taken, &next)
		}
		for n, p := range listOf(component["parameters"]) {
			m.parameter(append(at, "parameters", n), p)
		}
		for n, card := range listOf(component["cards"]) {
			m.components(append(at, "cards", n, "components"), listOf(get(card, "components")))
		}
	}
}

// button gives a button its index, and takes white space from its texts.
func (m *migration) button(path schema.Path, button map[string]any, taken map[string]bool, next *int) {
	kind, _ := button["sub_type"].(string)
	if _, ok := button["index"]; !ok && !strings.EqualFold(kind, "voice_call") {
		for taken[strconv.Itoa(*next)] {
			*next++
		}
		button["index"] = strconv.Itoa(*next)
		taken[strconv.Itoa(*next)] = true
		m.change(append(path, "index"), "added: %d, by order", *next)
	}
	for _, name := range [...]string{"type", "sub_type", "index"} {
		m.trimText(path, button, name)
	}
	for n, p := range listOf(button["parameters"]) {
		if object, ok := p.(map[string]any); ok {
			at := append(path, "parameters", n)
			for _, name := range [...]string{"type", "text", "payload", "coupon_code"} {
				m.trimText(at, object, name)
			}
		}
	}
}

func (m *migration) trimText(path schema.Path, object map[string]any, name string) {
	if text, ok := object[name].(string); ok && strings.TrimSpace(text) != text {
		object[name] = strings.TrimSpace(text)
		m.change(append(path, name), "removed white space at its start and end")
	}
}

// parameter mends a parameter.
func (m *migration) parameter(path schema.Path, v any) {
	p, ok := v.(map[string]any)
	if !ok {
		return
	}
	if _, has := p["type"]; !has {
		if _, ok := p["text"]; ok {
			p["type"] = "text"
			m.change(append(path, "type"), "added: text")
		}
	}
	if _, ok := get(p["document"], "caption").(string); ok {
		delete(p["document"].(map[string]any), "caption")
		m.change(append(path, "document", "caption"), "left out: files in templates have no caption")
	}
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

func scalarOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}
