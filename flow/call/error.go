package call

import "facteur/flow/schema"

// ErrorType is the type of steps.<id>.error, and, with `step`, of `error` in catch
// and on_failure.
var ErrorType = &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
	{Name: "code", Type: schema.StringType, Required: true, Always: true, Doc: "outcome_unknown, timeout, invalid_input …, or the API's number as text"},
	{Name: "meta_code", Type: schema.IntType, Required: true, Always: true, Doc: "Meta's code, 0 where Meta gave none"},
	{Name: "message", Type: schema.StringType, Required: true, Always: true, Doc: "what went wrong, for people"},
	{Name: "class", Type: schema.StringType, Required: true, Always: true, Doc: "what kind of error it is, e.g. throttle-pair"},
	{Name: "status_code", Type: schema.IntType, Required: true, Always: true, Doc: "HTTP status, 0: no answer"},
	{Name: "step", Type: schema.StringType, Required: true, Always: true, Doc: "the id of the step that failed, \"\" when it has none"},
	{Name: "details", Type: schema.MapOf(schema.AnyType), Required: true, Always: true, Doc: "subcode, title, retry, fbtrace_id, help, where known"},
}}

// Value returns the error as flows see it.
func (e *Error) Value(step string) map[string]any {
	details := e.Details
	if details == nil {
		details = map[string]any{}
	}
	return map[string]any{
		"code": e.Code, "meta_code": e.MetaCode, "message": e.Message, "class": e.Class,
		"status_code": e.StatusCode, "step": step, "details": details,
	}
}
