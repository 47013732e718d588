package daemon

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/logtest"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/project"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a person says was not sent gives up its `once` key. Meta knows better: when it tells
// of the message after that, no other run sends it again; and where one has, people are told.
func TestOnceAfterLateNews(t *testing.T) {
	d, api, client, log := sendingOnce(t)
	run := func(phone string) *server.Detail { return sentOnce(t, client, phone) }
	// One whose answer is lost, and of which a person says that it was not sent.
	lose := func(phone string) (*server.Detail, simulator.Message) {
		require.NoError(t, api.AddFault(simulator.Fault{Do: simulator.Drop, Recipient: phone, Times: 1}))
		out := run(phone)
		require.Equal(t, "outcome_unknown", out.Error.Code)
		require.Equal(t, "once_unsettled", run(phone).Error.Code)
		require.NoError(t, client.Settle(t.Context(), out.RunID, server.SettleRequest{Step: "notify"}))
		sent := api.Accepted(simulator.Filter{Person: phone})
		require.Len(t, sent, 1)
		return out, sent[0]
	}
	news := func(m simulator.Message, status string) {
		require.NoError(t, d.applyWebhook(t.Context(), "shop", []inbound.Notification{{
			Kind: "status", Field: "messages", PhoneNumberID: m.Number, MessageID: m.ID, Status: status,
			To: "+" + m.Person, WaID: m.Person, CallbackData: m.Key, Timestamp: time.Now(),
		}}))
	}

	first, message := lose(grace)
	news(message, "delivered")
	second := run(grace)
	assert.Equal(t, machine.Succeeded, second.Status)
	assert.Equal(t, message.ID, second.Steps[0].Outputs["repeats"])
	assert.Len(t, api.Accepted(simulator.Filter{Person: grace}), 1, "it is not sent a second time")
	first, err := client.Run(t.Context(), first.RunID, 0)
	require.NoError(t, err)
	assert.Equal(t, message.ID, first.Steps[0].Outputs["message_id"], "and its run says that it was")
	assert.NotContains(t, log.String(), "sent after all")

	const ada = "+33612345679"
	first, message = lose(ada)
	second = run(ada)
	assert.Empty(t, second.Steps[0].Outputs["repeats"])
	assert.Len(t, api.Accepted(simulator.Filter{Person: ada}), 2)
	news(message, "sent")
	news(message, "read")
	assert.Equal(t, 1, strings.Count(log.String(), "sent after all"))
	assert.Contains(t, log.String(), "run="+first.RunID)
	assert.Contains(t, log.String(), "then="+second.RunID)
	assert.NotEmpty(t, run(ada).Steps[0].Outputs["repeats"])
	assert.Len(t, api.Accepted(simulator.Filter{Person: ada}), 2)
}

// A ledger that did not hear that a send was refused keeps nobody from sending under its key.
// What may have been sent does.
func TestOnceAfterARefusalThatTheLedgerMissed(t *testing.T) {
	d, api, client, _ := sendingOnce(t)
	for _, tt := range []struct {
		phone   string
		fault   simulator.Fault
		first   string // what becomes of the send before
		settled bool   // as not sent
		then    string // what becomes of the one after
	}{
		{grace, simulator.Fault{Do: simulator.Error, Code: 131026}, "131026", false, ""},
		{"+33612345679", simulator.Fault{Do: simulator.Drop}, "outcome_unknown", false, "once_unsettled"},
		{"+33612345670", simulator.Fault{Do: simulator.Drop}, "outcome_unknown", true, ""},
	} {
		tt.fault.Recipient, tt.fault.Times = tt.phone, 1
		require.NoError(t, api.AddFault(tt.fault))
		first := sentOnce(t, client, tt.phone)
		require.Equal(t, tt.first, first.Error.Code)
		before := len(api.Accepted(simulator.Filter{Person: tt.phone}))
		if tt.settled {
			require.NoError(t, client.Settle(t.Context(), first.RunID, server.SettleRequest{Step: "notify"}))
		}
		_, err := d.ledger.Claim(t.Context(), whatsapp.Claim{
			Call: first.Steps[0].Keys[0], Step: first.Steps[0].Keys[0], Recipient: tt.phone, Key: tt.phone, Within: time.Hour,
		})
		require.NoError(t, err, "as if it had not heard what became of it")
		second := sentOnce(t, client, tt.phone)
		if tt.then == "" {
			assert.Nil(t, second.Error)
			assert.Empty(t, second.Steps[0].Outputs["repeats"])
			before++
		} else {
			assert.Equal(t, tt.then, second.Error.Code)
		}
		assert.Len(t, api.Accepted(simulator.Filter{Person: tt.phone}), before)
	}
}

// What a step sends again, because nobody knows whether it was sent, may have been sent
// whatever becomes of that: no other run sends it before that is settled.
func TestOnceAfterASecondAttemptThatIsRefused(t *testing.T) {
	_, api, client, _ := sendingOnce(t, "on_unknown: resend", "retry: {attempts: 2, delay: 1ms}")
	require.NoError(t, api.AddFault(simulator.Fault{Do: simulator.Drop, Recipient: grace, Times: 1}))
	require.NoError(t, api.AddFault(simulator.Fault{Do: simulator.Error, Code: 131026, Recipient: grace, Times: 1}))
	first := sentOnce(t, client, grace)
	require.Equal(t, "131026", first.Error.Code)
	require.Equal(t, 2, first.Steps[0].Attempts)
	require.Len(t, api.Accepted(simulator.Filter{Person: grace}), 1)
	for range 2 {
		then := sentOnce(t, client, grace)
		require.NotNil(t, then.Error, "it may be the second")
		assert.Equal(t, "once_unsettled", then.Error.Code)
	}
	require.NoError(t, client.Settle(t.Context(), first.RunID, server.SettleRequest{Step: "notify"}))
	assert.Equal(t, machine.Succeeded, sentOnce(t, client, grace).Status)
	assert.Len(t, api.Accepted(simulator.Filter{Person: grace}), 2, "a person said that the first was not")
}

// A claim whose call never began, because the daemon was killed in between, and whose run was
// cancelled then, keeps nobody from sending. While the run may go on, it does.
func TestOnceAfterACallThatNeverBegan(t *testing.T) {
	d, api, client, _ := sendingOnce(t)
	first := claimed(t, d, client)
	claim := whatsapp.Claim{Call: "f1.other.1", Recipient: grace, Key: grace, Within: time.Hour}
	_, err := d.claim(t.Context(), claim)
	_, unsettled := errors.AsType[*whatsapp.UnsettledError](err)
	assert.True(t, unsettled, err)
	require.NoError(t, client.Cancel(t.Context(), first, server.CancelRequest{}))
	_, err = client.Run(t.Context(), first, time.Minute)
	require.NoError(t, err)
	require.NoError(t, client.Resume(t.Context(), server.ResumeRequest{Scope: "flow", Name: "hello"}))

	second := sentOnce(t, client, grace)
	assert.Nil(t, second.Error)
	assert.Empty(t, second.Steps[0].Outputs["repeats"])
	third := sentOnce(t, client, grace)
	assert.NotEmpty(t, third.Steps[0].Outputs["repeats"])
	assert.Len(t, api.Accepted(simulator.Filter{Person: grace}), 1)
}

// After a backup was restored, a run that says nothing of its call may have made it since then:
// its key stays taken, also at a later start.
func TestOnceAfterABackup(t *testing.T) {
	o, api, _ := onceOptions(t)
	d, client := opened(t, o)
	first := claimed(t, d, client)
	d.Close()

	o.Restored = true
	d, client = opened(t, o)
	require.NoError(t, client.Cancel(t.Context(), first, server.CancelRequest{}))
	_, err := client.Run(t.Context(), first, time.Minute)
	require.NoError(t, err)
	d.Close()

	o.Restored = false
	_, client = opened(t, o)
	require.NoError(t, client.Resume(t.Context(), server.ResumeRequest{Scope: "flow", Name: "hello"}))
	second := sentOnce(t, client, grace)
	require.NotNil(t, second.Error)
	assert.Equal(t, "once_unsettled", second.Error.Code)
	assert.Empty(t, api.Accepted(simulator.Filter{Person: grace}))
}

// So does a run that began after that with the key of one which the backup does not have.
func TestOnceOfAStartThatABackupDoesNotHave(t *testing.T) {
	o, api, _ := onceOptions(t)
	o.Restored = true
	d, client := opened(t, o)
	first := claimed(t, d, client, "order 7")
	require.NoError(t, client.Cancel(t.Context(), first, server.CancelRequest{}))
	_, err := client.Run(t.Context(), first, time.Minute)
	require.NoError(t, err)
	require.NoError(t, client.Resume(t.Context(), server.ResumeRequest{Scope: "flow", Name: "hello"}))
	second := sentOnce(t, client, grace)
	require.NotNil(t, second.Error)
	assert.Equal(t, "once_unsettled", second.Error.Code)
	assert.Empty(t, api.Accepted(simulator.Filter{Person: grace}))
}

// The journal knows all backups that it was restored from, and until when each had all, for as
// long as what happened after them may be known elsewhere.
func TestBackups(t *testing.T) {
	o, _, _ := onceOptions(t)
	d, client := opened(t, o)
	started, err := client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{})
	require.NoError(t, err)
	assert.Empty(t, d.engine.(*localEngine).backups)
	d.Close()
	for n, restored := range []bool{true, true, false} {
		o.Restored = restored
		d, client = opened(t, o)
		backups := d.engine.(*localEngine).backups
		require.Len(t, backups, min(n+1, 2))
		head, err := client.Run(t.Context(), started.RunID, 0)
		require.NoError(t, err)
		for _, b := range backups {
			assert.True(t, b.Until.Equal(head.StartedAt), "%s", b.Until)
			assert.True(t, b.At.After(b.Until))
		}
		d.Close()
	}
	o.Settings.Retention = -minRetention
	d, _ = opened(t, o)
	assert.Empty(t, d.engine.(*localEngine).backups)

	later := time.Now().Add(time.Hour) // as a clock said that is behind by now
	require.NoError(t, d.engine.(*localEngine).journal.Create(t.Context(), journal.Run{
		ID: "later", Flow: "hello", Digest: "sha256:1", Version: 1, Sources: map[string]string{"hello": ""}, Status: "succeeded", Started: later, Ended: later,
	}, journal.Change{}))
	d.Close()
	o.Restored = true
	d, _ = opened(t, o)
	backups := d.engine.(*localEngine).backups
	require.Len(t, backups, 1)
	assert.False(t, backups[0].At.Before(later.Round(0)), "it has that run")
}

// A step that a retry comes to with another item is another one, wherever it stands: what may have
// been sent for the first item keeps the key from it.
func TestOnceInALoopThatARetryComesToAnew(t *testing.T) {
	o, api, _ := onceOptions(t)
	require.NoError(t, os.WriteFile(filepath.Join(o.Project.Root, "hello.flow.yaml"), []byte(`flow: hello
inputs: {phone: {type: string, format: e164}}
steps:
  - fail: {code: broken, message: "broken at ${string(now())}"}
on_failure:
  - foreach: ["${error.message}"]
    as: why
    steps:
      - id: notify
        action: whatsapp.send_message
        connection: shop
        with: {recipient: "${inputs.phone}", message_type: text, message: {body: "${why}"}, once: {key: alarm}}
        retry: {attempts: 2, delay: 1ms}
        unknown_timeout: 10ms
`), 0o600))
	o.Project, _, _ = project.Open(o.Project.Root)
	flows, found, err := project.LoadFlows(o.Project)
	require.NoError(t, err)
	require.Empty(t, found)
	o.Flows = flows
	_, client := opened(t, o)
	require.NoError(t, api.AddFault(simulator.Fault{Do: simulator.Drop, Recipient: grace, Times: 1}))
	first := sentOnce(t, client, grace)
	require.Equal(t, machine.Failed, first.Status)
	require.NoError(t, client.Retry(t.Context(), first.RunID, server.RetryRequest{}))
	_, err = client.Run(t.Context(), first.RunID, time.Minute)
	require.NoError(t, err)
	assert.Len(t, api.Accepted(simulator.Filter{Person: grace}), 1)
}

// claimed starts a run that is held, and claims its key, as if the daemon had been killed after
// that, or its ledger copied after the journal.
func claimed(t *testing.T, d *Daemon, client *server.Client, key ...string) (run string) {
	require.NoError(t, client.Pause(t.Context(), server.PauseRequest{Scope: "flow", Name: "hello"}))
	started, err := client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{Key: strings.Join(key, "")})
	require.NoError(t, err)
	_, err = d.ledger.Claim(t.Context(), whatsapp.Claim{
		Call: "f1." + started.RunID + ".1", Step: "f1." + started.RunID + ".1", Recipient: grace, Key: grace, Within: time.Hour,
	})
	require.NoError(t, err)
	return started.RunID
}

// sendingOnce opens a daemon with a flow that sends once to each number.
func sendingOnce(t *testing.T, keys ...string) (*Daemon, *simulator.Simulator, *server.Client, *logtest.Lines) {
	o, api, log := onceOptions(t, keys...)
	d, client := opened(t, o)
	return d, api, client, log
}

func opened(t *testing.T, o Options) (*Daemon, *server.Client) {
	d, err := Open(t.Context(), t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d, &server.Client{URL: "http://localhost", HTTP: &http.Client{Transport: handled{d}}}
}

func onceOptions(t *testing.T, keys ...string) (Options, *simulator.Simulator, *logtest.Lines) {
	o, api, log := options(t)
	o.Embedded = true
	hello := strings.ReplaceAll(sendsHello, "message: {body: Bonjour}}}", `message: {body: Bonjour}, once: {key: "${inputs.phone}"}}, `+strings.Join(append(keys, "unknown_timeout: 10ms}"), ", "))
	require.NoError(t, os.WriteFile(filepath.Join(o.Project.Root, "hello.flow.yaml"), []byte(hello), 0o600))
	o.Project, _, _ = project.Open(o.Project.Root)
	o.Flows, _, _ = project.LoadFlows(o.Project)
	return o, api, log
}

// sentOnce runs the flow to its end.
func sentOnce(t *testing.T, client *server.Client, phone string) *server.Detail {
	started, err := client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": phone}}, server.StartOption{Wait: time.Minute})
	require.NoError(t, err)
	out, err := client.Run(t.Context(), started.RunID, 0)
	require.NoError(t, err)
	return out
}
