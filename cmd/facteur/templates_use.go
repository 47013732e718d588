package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"facteur/actions/whatsapp/templates"
	"facteur/cmd/facteur/yamltext"
	"facteur/project"
)

// examplePhone is who the test of a template's flow sends to.
const examplePhone = "+33612345678"

// useTemplate writes the flow that sends a template, and its test.
func (a *app) useTemplate(t *templates.Definition, connection, out string) error {
	name := strings.TrimLeft(t.Name, "_0123456789")
	if name != t.Name {
		name = "send_" + t.Name
	}
	components, inputs := t.Use()
	files := map[string][]byte{
		filepath.Join(out, name+project.FlowSuffix): []byte(templateFlow(t, name, connection, components, inputs)),
		filepath.Join(out, name+project.TestSuffix): []byte(templateTest(t, name, connection, components, inputs)),
	}
	if t.Status != "" && t.Status != templates.Approved {
		a.warn("the template is %s; only templates that are %s are sent", t.Status, templates.Approved)
	}
	if out != "" {
		return a.writeNew(files)
	}
	for _, path := range sortedNames(files) {
		fmt.Fprintf(a.stdout, "# %s\n%s\n", path, files[path])
	}
	return nil
}

// inputOrder is in which order people declare an input.
var inputOrder = yamltext.Order{"type", "format", "minLength", "sensitive", "description"}

func templateFlow(t *templates.Definition, name, connection string, components []any, inputs []templates.Input) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("flow: %s", name)
	line("description: Send the template %s (%s).", t.Name, t.Language)
	line("inputs:")
	line("  phone: {type: string, format: e164}")
	for _, in := range inputs {
		declared := map[string]any{"type": in.Type, "description": in.Doc}
		switch {
		case in.Format != "":
			declared["format"] = in.Format
		case in.Type == "string":
			declared["minLength"] = 1
		}
		if in.Name == "code" {
			declared["sensitive"] = true
		}
		line("  %s: %s", in.Name, inputOrder.Line(declared))
	}
	line("steps:")
	line("  - id: send")
	line("    action: whatsapp.send_message")
	line("    connection: %s", connection)
	line("    with:")
	line("      recipient: ${inputs.phone}")
	line("      message_type: template")
	line("      message:")
	line("        name: %s", yamltext.Scalar(t.Name))
	line("        language: {code: %s}", yamltext.Scalar(t.Language))
	if len(components) > 0 {
		line("        components:")
		for _, c := range components {
			line("          - %s", messageOrder.Line(c))
		}
	}
	line("outputs:")
	line("  status_code: ${steps.send.outputs.status_code}")
	line("  message_id: ${steps.send.outputs.message_id}")
	return b.String()
}

func templateTest(t *templates.Definition, name, connection string, components []any, inputs []templates.Input) string {
	order, given := yamltext.Order{"phone"}, map[string]any{"phone": examplePhone}
	for _, in := range inputs {
		order, given[in.Name] = append(order, in.Name), in.Example
	}
	order = append(order, messageOrder...)
	template := map[string]any{"name": t.Name, "language": map[string]any{"code": t.Language}}
	if len(components) > 0 {
		template["components"] = templates.Fill(components, inputs)
	}
	path := "/" + project.ExampleSender + "/messages"
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("flow: %s", name)
	line("cases:")
	line("  - name: the template is sent")
	line("    inputs: %s", order.Line(given))
	line("    connections: {%s: {token: test-token, sender_phone_id: %q}}", connection, project.ExampleSender)
	line("    exchanges:")
	line("      - step: send")
	line("        request:")
	line("          method: POST")
	line("          path: %s", path)
	line("          json: {to: %q, type: template, template: %s, $more: true}", examplePhone, messageOrder.Line(template))
	line("        response: {status: 200, json: {messaging_product: whatsapp, messages: [{id: wamid.TEST}]}}")
	line("    expect: {status: succeeded, outputs: {status_code: 200, message_id: wamid.TEST}}")
	line("  - name: the template is paused")
	line("    inputs: %s", order.Line(given))
	line("    connections: {%s: {token: test-token, sender_phone_id: %q}}", connection, project.ExampleSender)
	line("    exchanges:")
	line("      - step: send")
	line("        request: {method: POST, path: %s, json: {$any: true}}", path)
	line("        response: {status: 400, json: {error: {code: 132015, message: \"(#132015) Template is paused\"}}}")
	line("    expect: {status: failed, error: {code: \"132015\", step: send}}")
	return b.String()
}
