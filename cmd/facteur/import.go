package main

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/onpremises"
	"facteur/cmd/facteur/curl"
	"facteur/cmd/facteur/yamltext"
	"facteur/flow/schema"
	"facteur/project"

	"github.com/spf13/cobra"
)

func (a *app) importCommand() *cobra.Command {
	var connection string
	c := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Turn Meta's curl command or a request body into a step",
		Long: `Turn Meta's curl command, or the JSON body of a request (Cloud or On-Premises), into a step.

The step is printed to standard output, for you to paste under "steps:". Tokens are left out:
the step names a connection. Whatever could not be converted is listed on standard error.`,
		Example: "  facteur import - < curl.txt\n  facteur import body.json --connection whatsapp_shop",
		Args:    exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if connection == "" {
				connection = "whatsapp"
				if p, _, err := project.Open("."); err == nil && p != nil {
					connection = cmp.Or(p.OnlyConnection(), connection)
				}
			}
			return a.importStep(args[0], connection)
		},
	}
	c.Flags().StringVar(&connection, "connection", "", "the `name` of the step's connection (default: the project's only WhatsApp connection, else whatsapp)")
	return c
}

func (a *app) importStep(file, connection string) error {
	text, err := a.readFile(file)
	if err != nil {
		return err
	}
	body, at, err := readRequest(string(text))
	if err != nil {
		return project.UserError("give Meta's curl command, or the JSON body of a request to /messages", "%s: %w", file, err)
	}
	s := importOf(body, at, connection)
	fmt.Fprint(a.stdout, s.yaml)
	for _, note := range s.notes {
		a.note("%s", note)
	}
	found := slices.DeleteFunc(findings(file, 0, whatsapp.CheckBody(s.body)), func(f bodyFinding) bool {
		return strings.HasPrefix(f.Rule, "to-") // the step has what it has to have
	})
	for _, f := range found {
		fmt.Fprintln(a.stderr, f)
	}
	return refused(found)
}

// readRequest reads a curl command or a body.
func readRequest(text string) (body map[string]any, at endpoint, err error) {
	if curl.Is(text) {
		command, err := curl.Parse(text)
		if err != nil {
			return nil, at, err
		}
		at, text = readEndpoint(command.URL), command.Data
	}
	v, err := decodeBody([]byte(text))
	if err != nil {
		return nil, at, err
	}
	body, ok := v.(map[string]any)
	if !ok {
		return nil, at, fmt.Errorf("the body of a request must be an object")
	}
	body, _ = whatsapp.Normalize(body)
	return body, at, nil
}

// An importedStep step, with the Cloud body that it stands for.
type importedStep struct {
	yaml  string
	body  map[string]any
	notes []string
}

func (s *importedStep) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// importOf makes a step of a request.
func importOf(body map[string]any, at endpoint, connection string) *importedStep {
	s := &importedStep{body: body}
	if _, cloud := body["messaging_product"]; !cloud {
		var changes []onpremises.Change
		s.body, changes = onpremises.Migrate(body)
		for _, c := range changes {
			s.note("%s: %s", c.Path, c.Text)
		}
	}
	if at.version != "" && at.version != whatsapp.DefaultVersion {
		s.note("the request was to %s: set the connection's api_version, or leave it at %s", at.version, whatsapp.DefaultVersion)
	}
	if at.base != "" {
		s.note("the request was to %s: set the connection's base_url if that is right", at.base)
	}
	if at.last == "marketing_messages" {
		s.note("the request was to /marketing_messages; the step sends to /messages")
	}
	action, id, with := whatsapp.SendAction, "send", map[string]any{}
	if at.sender != "" {
		with["sender_phone_id"] = at.sender
	} else {
		s.note("sender_phone_id is left out: the step uses the connection's, or add it")
	}
	if s.body["status"] != nil && s.body["type"] == nil {
		action, id = "whatsapp.mark_read", "mark_read"
		s.read(with)
	} else {
		s.message(with)
	}
	s.yaml = fmt.Sprintf("- id: %s\n  action: %s\n  connection: %s\n  with:\n%s", id, action, yamltext.Scalar(connection), messageOrder.Block(with, "    "))
	return s
}

// read fills in the inputs of mark_read.
func (s *importedStep) read(with map[string]any) {
	with["message_id"] = escaped(s.body["message_id"])
	if s.body["typing_indicator"] != nil {
		with["typing"] = true
	}
	s.noteUnknown("messaging_product", "status", "message_id", "typing_indicator")
}

// message fills in the inputs of send_message.
func (s *importedStep) message(with map[string]any) {
	kind, ok := s.body["type"].(string)
	if !ok {
		if kind = "text"; s.body["interactive"] != nil {
			kind = "interactive"
		}
	}
	with["recipient"] = s.recipient()
	with["message_type"] = escaped(kind)
	with["message"] = escaped(s.body[kind])
	if context, ok := s.body["context"].(map[string]any); ok {
		with["reply_to"] = escaped(context["message_id"])
	}
	if data, ok := s.body["biz_opaque_callback_data"]; ok {
		with["tracking"] = escaped(data)
		s.note("biz_opaque_callback_data became tracking: it is returned after the key of the call")
	}
	if s.body["recipient_type"] == "group" {
		s.note("a step sends to people, not to groups")
	}
	s.noteUnknown("messaging_product", "recipient_type", "to", "recipient", "type", kind, "context", "biz_opaque_callback_data")
}

// noteUnknown notes the fields of the body that a step cannot have.
func (s *importedStep) noteUnknown(known ...string) {
	for _, name := range sortedNames(s.body) {
		if !slices.Contains(known, name) {
			s.note("%s is left out: a step has no such field", name)
		}
	}
}

var numberLike = regexp.MustCompile(`^\+?[0-9 ().\-\x{a0}\x{202f}]{7,}$`)

// recipient returns the recipient of the message in the form of a step.
func (s *importedStep) recipient() any {
	to, _ := s.body["to"].(string)
	if n, ok := s.body["to"].(int64); ok {
		to = strconv.FormatInt(n, 10)
	}
	to = strings.TrimSpace(to)
	if id, ok := s.body["recipient"].(string); ok {
		if to == "" {
			return escaped(id)
		}
		s.note("recipient is left out: if a body also has to, Meta uses that")
	}
	switch number, abroad := strings.CutPrefix(to, "00"); {
	case !numberLike.MatchString(to):
		s.note("%q is not a phone number: the step uses inputs.phone, so declare it in the flow as {type: string, format: e164}", to)
		return "${inputs.phone}"
	case abroad:
		s.note("%s now starts with + in place of 00, which Meta refuses", to)
		return "+" + number
	case !strings.HasPrefix(to, "+"):
		s.note("put + before %s: without it, Meta puts the sender's country code there", to)
		return "+" + to
	}
	return to
}

// escaped escapes the texts of a value that would be read as expressions.
func escaped(v any) any {
	return schema.EachLeaf(v, func(v any) any {
		if text, ok := v.(string); ok {
			return strings.ReplaceAll(text, "${", "$${")
		}
		return v
	})
}

// messageOrder is in which order people write the keys of messages.
var messageOrder = yamltext.Order{
	"sender_phone_id", "recipient", "message_type", "message", "reply_to", "tracking", "message_id", "typing",
	"latitude", "longitude", "name", "formatted_name", "reference_id", "language", "code", "policy", "type", "sub_type", "index", "card_index", "parameter_name",
	"header", "body", "footer", "text", "action", "components", "parameters", "cards",
	"id", "link", "value", "offset", "thumbnail_product_retailer_id", "title", "description", "button", "buttons", "sections", "rows", "reply", "quick_reply",
}

var (
	versionPart = regexp.MustCompile(`^v\d+\.\d+$`)
	idPart      = regexp.MustCompile(`^\d+$`)
)

// An endpoint is what the URL of a request contains.
type endpoint struct {
	base    string // "" where it is Meta's own
	version string // "" where there is none
	sender  string // phone number ID, "" where there is none
	last    string // messages
}

// readEndpoint reads the address of a request; what cannot be read is "".
func readEndpoint(address string) (e endpoint) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return e
	}
	if u.Host != "" && u.Host != "graph.facebook.com" {
		e.base = u.Scheme + "://" + u.Host
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	for _, part := range parts {
		switch {
		case versionPart.MatchString(part):
			e.version = part
		case idPart.MatchString(part):
			e.sender = part
		}
	}
	e.last = parts[len(parts)-1]
	return e
}
