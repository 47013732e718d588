package whatsapp_test

import (
	"context"
	"maps"
	"net/http"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/flow/call"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestErrorShapes covers the errors of the API, of its versions and of proxies before it.
func TestErrorShapes(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		code       string
		class      string
		message    string
		details    map[string]any // some of them
	}{
		{"as documented", `{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429,"error_data":{"messaging_product":"whatsapp","details":"Throughput has been reached."},"error_subcode":2494055,"fbtrace_id":"Az8"}}`,
			"130429", "throttle-number", "Meta refused the message: rate limit hit (130429): Throughput has been reached.", map[string]any{"subcode": int64(2494055), "fbtrace_id": "Az8", "details": "Throughput has been reached."}},
		{"without data", `{"error":{"message":"Invalid OAuth access token - Cannot parse access token","type":"OAuthException","code":190,"fbtrace_id":"A"}}`,
			"190", "auth", "Meta refused the message: invalid OAuth access token - Cannot parse access token (190)", nil},
		{"data is a text", `{"error":{"message":"(#100) Invalid parameter","code":100,"error_data":"to is required"}}`,
			"100", "permanent", "Meta refused the message: invalid parameter (100): to is required", nil},
		{"data is JSON in a text", `{"error":{"message":"Invalid parameter","code":100,"error_data":"{\"blame_field_specs\":[[\"components\",0]]}"}}`,
			"100", "permanent", "Meta refused the message: invalid parameter (100): see components.0", nil},
		{"data names fields", `{"error":{"message":"Invalid parameter","code":100,"error_data":{"blame_field_specs":[["template","name"],["to"]]}}}`,
			"100", "permanent", "Meta refused the message: invalid parameter (100): see template.name, to", nil},
		{"data is a number", `{"error":{"message":"Invalid parameter","code":100,"error_data":7}}`,
			"100", "permanent", "Meta refused the message: invalid parameter (100)", nil},
		{"for people", `{"error":{"message":"Invalid parameter","code":100,"error_subcode":2388024,"error_user_title":"Content in this language already exists","error_user_msg":"There is already English content for this template."}}`,
			"100", "permanent", "Meta refused the message: invalid parameter (100): There is already English content for this template.", map[string]any{"subcode": int64(2388024)}},
		{"the code is a text", `{"error":{"message":"x","code":"131056"}}`, "131056", "throttle-pair", "Meta refused the message: x (131056)", nil},
		{"the code is in the message", `{"error":{"message":"(#131030) Recipient phone number not in allowed list","type":"OAuthException"}}`, "131030", "recipient-test", "Meta refused the message: recipient phone number not in allowed list (131030)", nil},
		{"the subcode of a missing object", `{"error":{"message":"Unsupported post request. Object with ID '1' does not exist","type":"GraphMethodException","code":100,"error_subcode":33}}`, "100", "account", "", nil},
		{"the On-Premises API", `{"meta":{"api_status":"stable","version":"2.53"},"errors":[{"code":470,"title":"Message failed to send because more than 24 hours have passed","details":"Re-engage"}]}`,
			"470", "needs-template", "Meta refused the message: message failed to send because more than 24 hours have passed (470): Re-engage", nil},
		{"of OAuth", `{"error":"invalid_request","error_description":"x"}`, "http_400", "permanent", "", nil},
		{"a list", `[{"error":{"code":190}}]`, "http_400", "permanent", "", nil},
		{"HTML", `<html>Bad Request</html>`, "http_400", "permanent", "", nil},
		{"nothing", ``, "http_400", "permanent", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newFakeAPI(t, answers(400, tt.body))
			o := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{}).Do(context.Background(), send(text(nil)))
			require.NotNil(t, o.Error)
			assert.Equal(t, tt.code, o.Error.Code)
			assert.Equal(t, tt.class, o.Error.Class)
			if tt.message != "" {
				assert.Equal(t, tt.message, o.Error.Message)
			}
			for k, v := range tt.details {
				assert.Equal(t, v, o.Error.Details[k], k)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		after  time.Duration
		usage  any
	}{
		{"none", nil, 0, nil},
		{"the app has some left", http.Header{"X-App-Usage": {`{"call_count":28,"total_time":25,"total_cputime":25}`}}, 0, nil},
		{"the app has none left", http.Header{"X-App-Usage": {`{"call_count":100,"total_time":25,"total_cputime":101.6}`}}, 5 * time.Minute, "call_count of the app at 100 %, total_cputime of the app at 102 %"},
		{"an account", http.Header{"X-Business-Use-Case-Usage": {`{"102290129340398":[{"type":"whatsapp","call_count":100,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":15}]}`}}, 15 * time.Minute, "call_count of account 102290129340398 at 100 %"},
		{"the longest counts", http.Header{"Retry-After": {"30"}, "X-Business-Use-Case-Usage": {`{"1":[{"estimated_time_to_regain_access":2},{"estimated_time_to_regain_access":3}],"2":[{"estimated_time_to_regain_access":1}]}`}}, 3 * time.Minute, nil},
		{"a day at most", http.Header{"X-Business-Use-Case-Usage": {`{"1":[{"estimated_time_to_regain_access":1e9}]}`}}, 24 * time.Hour, nil},
		{"no sense", http.Header{"Retry-After": {"soon"}, "X-App-Usage": {`[1]`}, "X-Business-Use-Case-Usage": {`{"1":{"estimated_time_to_regain_access":"15"},"2":[7]}`}}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newFakeAPI(t, func(w http.ResponseWriter, r *http.Request) {
				maps.Copy(w.Header(), tt.header)
				w.Header().Set("X-Fb-Trace-Id", "trace-1")
				answers(400, `{"error":{"code":80007,"message":"(#80007) Rate limit issues"}}`)(w, r)
			})
			o := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{}).Do(context.Background(), send(text(nil)))
			assert.Equal(t, call.Failed, o.Status)
			assert.True(t, o.Retryable)
			assert.Equal(t, tt.after, o.After)
			assert.Equal(t, tt.usage, o.Error.Details["usage"])
			assert.Equal(t, "trace-1", o.Error.Details["fbtrace_id"])
		})
	}
}
