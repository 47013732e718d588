package inbound

import (
	"cmp"
	"strings"
	"sync"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// A fieldReader says how a change is read whose value is about one thing: a template, a
// number, the account. The zero fieldReader is of a field that parts reads.
type fieldReader struct {
	status string    // the places of what has become of it
	keep   selection // of its details
}

const templateNames = "message_template_id message_template_name message_template_language message_template_category "

// owners are those of a conversation, before and after.
const owners = "(metadata previous_owner_app_id previous_owner_app_role previous_owner_role new_owner_app_id new_owner_app_role new_owner_role conversation_context(type summary(text)))"

// standby is the field of what happens in a conversation that another app answers, such as
// Meta's agent, and the name of what holds it.
const standby = "standby"

// listFields are those whose values hold lists, which parts reads.
var listFields = [...]string{
	"messages", "message_echoes", "smb_message_echoes", "history", "calls", "user_preferences", "smb_app_state_sync",
	"automatic_events", "tracking_events", "group_lifecycle_update", "group_participants_update", "group_settings_update",
	"group_status_update", standby,
}

// fieldReaders are the known fields.
var fieldReaders = sync.OnceValue(func() map[string]fieldReader {
	readers := map[string]fieldReader{
		"message_template_status_update":      {"event", parseSelection(templateNames + "reason disable_info(disable_date) other_info(title description reason) rejection_info(reason recommendation)")},
		"message_template_quality_update":     {"new_quality_score", parseSelection(templateNames + "previous_quality_score new_quality_score")},
		"message_template_components_update":  {"", parseSelection(templateNames + "message_template_title message_template_element message_template_footer message_template_buttons(message_template_button_type message_template_button_text message_template_button_url message_template_button_phone_number)")},
		"template_category_update":            {"new_category", parseSelection(templateNames + "previous_category new_category correct_category category_update_timestamp")},
		"template_correct_category_detection": {"correct_category suggested_category", parseSelection(templateNames + "category correct_category new_category current_category suggested_category")},
		"message_template_pacing_update":      {"event", parseSelection(templateNames + "reason")},
		"phone_number_quality_update":         {"event", parseSelection("current_limit old_limit max_daily_conversations_per_business max_daily_conversation_per_phone")},
		"phone_number_name_update":            {"decision", parseSelection("requested_verified_name rejection_reason")},
		"account_update":                      {"event", parseSelection("country phone_number ban_info(waba_ban_state waba_ban_date) violation_info(violation_type) lock_info(expiration) restriction_info(restriction_type expiration remediation) waba_info(waba_id ad_account_linked ad_account_id owner_business_id partner_app_id solution_id solution_partner_business_ids) auth_international_rate_eligibility(start_time exception_countries(country_code start_time)) partner_client_certification_info(client_business_id status rejection_reasons) volume_tier_info(tier_update_time pricing_category tier effective_month region) disconnection_info(reason initiated_by) business_verification_status")},
		"account_alerts":                      {"alert_info.alert_status alert_status", parseSelection("entity_type entity_id alert_severity alert_status alert_type alert_description alert_info(alert_severity alert_status alert_type alert_description)")},
		"account_review_update":               {"decision", parseSelection("decision")},
		"account_settings_update":             {"type", parseSelection("type timestamp phone_number_settings(phone_number_id calling(status call_icon_visibility callback_permission_status))")},
		"business_capability_update":          {"", parseSelection("max_daily_conversations_per_business max_daily_conversation_per_phone max_phone_numbers_per_business max_phone_numbers_per_waba coexistence_max_phone_numbers")},
		"business_status_update":              {"event", parseSelection("business_id")},
		"business_username_update":            {"status", parseSelection("username context")},
		"business_username_updates":           {"status", parseSelection("username context")},
		"security":                            {"event", parseSelection("requester")},
		"flows":                               {"event", parseSelection("message flow_id old_status new_status error_rate threshold alert_state error_count p50_latency p90_latency requests_count availability warning errors(error_type error_rate error_count)")},
		"partner_solutions":                   {"event", parseSelection("solution_id solution_status")},
		"payment_configuration_update":        {"status", parseSelection("configuration_name provider_name provider_mid status created_timestamp updated_timestamp")},
		"user_id_update":                      {"detail", parseSelection("detail")},
		"messaging_handovers":                 {"type", parseSelection("type sender(id phone_number) recipient(id display_phone_number phone_number_id) control_passed" + owners + " control_taken" + owners + " pass_thread_control(new_owner_app_id previous_owner_app_id metadata) take_thread_control(new_owner_app_id previous_owner_app_id metadata)")},
	}
	for _, field := range listFields {
		readers[field] = fieldReader{}
	}
	return readers
})

func isKnownField(field string) bool {
	_, ok := fieldReaders()[field]
	return ok
}

// readField reads a value that is about one thing.
func readField(field string, v schema.Value) (n Notification, ok bool) {
	reader, ok := fieldReaders()[field]
	if !ok || len(reader.keep) == 0 {
		return n, false
	}
	n = Notification{Kind: field, Timestamp: parseTime(v.Field("timestamp")), Details: reader.keep.of(v)}
	if reader.status != "" {
		n.Status = graph.Word(firstOf(v, strings.Fields(reader.status)...))
	}
	n.Raw, _ = v.Object()
	return n, n.Status != "" || n.Details != nil
}

// guessField tells the field of a value by what it holds, where the change does not.
func guessField(v schema.Value) string {
	for _, sign := range [...]struct{ name, field string }{
		{"messages", "messages"},
		{"statuses", "messages"},
		{"message_echoes", "smb_message_echoes"},
		{"history", "history"},
		{"calls", "calls"},
		{"state_sync", "smb_app_state_sync"},
		{"user_preferences", "user_preferences"},
		{"user_id_update", "user_id_update"},
		{"user_actions", "messages"},
		{standby, standby},
		{"new_quality_score", "message_template_quality_update"},
		{"new_category", "template_category_update"},
		{"message_template_id", "message_template_status_update"},
		{"waba_info", "account_update"},
		{"ban_info", "account_update"},
		{"alert_info", "account_alerts"},
		{"errors", "messages"},
	} {
		if has(v, sign.name) {
			return sign.field
		}
	}
	return ""
}

// A listReader says how the items of a list are read that say in their own fields what
// became of what.
type listReader struct {
	kind   string    // of the notifications, "" for the field of the change
	status string    // the place of what has become of it
	id     string    // the place of the message's id, "" for none
	keep   selection // of its details
	from   bool      // the person did it
}

func (l listReader) read(in location, item schema.Value, people contacts) []Notification {
	n := Notification{
		Kind:      cmp.Or(l.kind, in.field),
		Status:    graph.Word(firstOf(item, l.status)),
		Timestamp: parseTime(firstOf(item, "timestamp", "metadata.timestamp")),
		GroupID:   graph.Word(item.Field("group_id")),
		Details:   l.keep.of(item),
		Errors:    readErrors(item.Field("errors")),
	}
	n.Raw, _ = item.Object()
	if l.id != "" {
		n.MessageID = graph.Word(item.Field(l.id))
	}
	n.setPerson(people.find(item.Field("wa_id"), firstOf(item, "user_id", "user_id.current"), firstOf(item, "parent_user_id", "parent_user_id.current")))
	n.Username = cmp.Or(n.Username, graph.Word(item.Field("username")))
	if l.from {
		n.From = n.person()
	}
	return []Notification{n}
}

func readSync(in location, item schema.Value, people contacts) []Notification {
	keep := parseSelection("type contact(full_name first_name phone_number user_id parent_user_id username)")
	found := listReader{status: "action", keep: keep}.read(in, item, people)
	c := item.Field("contact")
	found[0].setPerson(person{
		waID: graph.Word(c.Field("phone_number")), userID: graph.Word(c.Field("user_id")), parentID: graph.Word(c.Field("parent_user_id")),
		username: graph.Word(c.Field("username")), name: graph.Word(c.Field("full_name")),
	})
	return found
}

func readCall(in location, c schema.Value, people contacts) []Notification {
	n := Notification{
		Kind:         "call",
		MessageID:    graph.Word(c.Field("id")),
		Status:       graph.Word(firstOf(c, "event", "status")),
		Timestamp:    parseTime(c.Field("timestamp")),
		CallbackData: graph.Word(c.Field("biz_opaque_callback_data")),
		Details:      parseSelection("direction status start_time end_time duration deeplink_payload cta_payload session(sdp_type sdp)").of(c),
		Errors:       readErrors(c.Field("errors")),
	}
	n.Raw, _ = c.Object()
	from, to := graph.Word(c.Field("from")), graph.Word(c.Field("to"))
	if graph.Word(c.Field("direction")) == "BUSINESS_INITIATED" {
		n.setPerson(people.find(c.Field("to"), firstOf(c, "to_user_id", "recipient_user_id"), c.Field("to_parent_user_id")))
		to = n.person()
	} else {
		n.setPerson(people.find(c.Field("from"), c.Field("from_user_id"), c.Field("from_parent_user_id")))
		from = n.person()
	}
	n.From, n.To = recipientForm(from), recipientForm(to)
	return []Notification{n}
}
