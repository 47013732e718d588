package server_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bodyOf returns a valid body for a route that needs one.
func bodyOf(path string) string {
	switch path {
	case "/v1/flows/{flow}/runs":
		return order
	case "/v1/runs/{run}/settle":
		return `{"step": "notify", "happened": true}`
	case "/v1/pause", "/v1/resume":
		return `{"scope": "all"}`
	case "/v1/events":
		return `{"event": "test.reply", "data": {"from": "+33612345678"}}`
	}
	return ""
}

func TestEachScopeMayDoWhatItSays(t *testing.T) {
	d := newDaemon(t)
	keys := map[server.Scope]string{}
	for _, scope := range server.Scopes() {
		_, key, err := d.keys.Create(string(scope), scope, time.Time{})
		require.NoError(t, err)
		keys[scope] = key
	}
	d.do("POST", "/v1/flows/order_shipped/runs", order, "Authorization: Bearer "+keys[server.ScopeRun])
	d.flows.next = d.flows.now
	for _, r := range server.Routes() {
		method, path, needs := r[0], r[1], server.Scope(r[2])
		url := strings.NewReplacer("{flow}", "order_shipped", "{run}", "run1").Replace(path)
		t.Run(method+" "+path, func(t *testing.T) {
			d := *d
			d.TB = t
			if needs == "" {
				assert.Equal(t, 200, d.do(method, url, "").Code)
				return
			}
			p := d.refused(method, url, bodyOf(path))
			assert.Equal(t, server.Unauthorized, p.Kind())
			assert.Contains(t, p.Hint, "facteur keys create")
			for i, scope := range server.Scopes() {
				resp := d.do(method, url, bodyOf(path), "Authorization: Bearer "+keys[scope])
				if i >= slices.Index(server.Scopes(), needs) {
					assert.Less(t, resp.Code, 300, "%s: %s", scope, resp.Body)
					continue
				}
				p := decode[server.Problem](t, resp)
				assert.Equal(t, server.Forbidden, p.Kind())
				assert.Equal(t, "use a key with the scope "+string(needs), p.Hint)
			}
		})
	}
	assert.Equal(t, "api key run", d.host.starts[0].By)

	p := d.refused("POST", "/v1/runs/run1/retry", `{"resend": true}`, "Authorization: Bearer "+keys[server.ScopeRun])
	assert.Equal(t, server.Forbidden, p.Kind())
	assert.Equal(t, 204, d.do("POST", "/v1/runs/run1/retry", `{"resend": true}`, "authorization: bearer "+keys[server.ScopeAdmin]).Code)
}

func TestWithoutKeysOnlyAnOpenDaemonAnswers(t *testing.T) {
	d := newDaemon(t, func(o *server.Options) { o.Open = false })
	p := d.refused("GET", "/v1/runs", "")
	assert.Equal(t, server.Unauthorized, p.Kind())
	resp := d.do("GET", "/v1/runs", "", "Authorization: Bearer fk_nothing")
	assert.Equal(t, 401, resp.Code)
	assert.Equal(t, "Bearer", resp.Header().Get("WWW-Authenticate"))
	assert.Equal(t, 200, d.do("GET", "/healthz", "").Code)

	d = newDaemon(t, func(o *server.Options) { o.Open, o.Keys = false, nil })
	assert.Equal(t, server.Unauthorized, d.refused("GET", "/v1/runs", "").Kind())
	assert.Equal(t, 200, d.do("GET", "/healthz", "").Code)
}

func TestADaemonStaysShutWhenItsLastKeyIsGone(t *testing.T) {
	d := newDaemon(t)
	assert.Equal(t, 200, d.do("GET", "/v1/runs", "").Code)
	key, _, err := d.keys.Create("shop", server.ScopeRead, time.Time{})
	require.NoError(t, err)
	assert.Equal(t, 401, d.do("GET", "/v1/runs", "").Code)
	require.NoError(t, d.keys.Revoke(key.ID))
	assert.Equal(t, 401, d.do("GET", "/v1/runs", "").Code)
}

func TestWhatAnotherProcessChangesHoldsOnceItSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	keys, err := server.OpenKeys(path)
	require.NoError(t, err)
	other, err := server.OpenKeys(path)
	require.NoError(t, err)
	d := newDaemon(t, func(o *server.Options) { o.Keys = keys })
	assert.Equal(t, 200, d.do("GET", "/v1/runs", "").Code)
	made, key, err := other.Create("shop", server.ScopeRead, time.Time{})
	require.NoError(t, err)
	assert.Equal(t, 401, d.do("GET", "/v1/runs", "").Code)
	auth := "Authorization: Bearer " + key
	assert.Equal(t, 200, d.do("GET", "/v1/runs", "", auth).Code)
	require.NoError(t, other.Revoke(made.ID))
	assert.Equal(t, 401, d.do("GET", "/v1/runs", "", auth).Code)
}

func TestWebPagesAreKeptOut(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"a program", nil, 200},
		{"by name", []string{"Host: localhost:8180"}, 200},
		{"by another name of the loopback", []string{"Host: 127.8.9.1"}, 200},
		{"by IPv6", []string{"Host: [::1]:8180"}, 200},
		{"a page of its own", []string{"Host: localhost:8180", "Origin: http://localhost:8180", "Sec-Fetch-Site: same-origin"}, 200},
		{"typed into a browser", []string{"Sec-Fetch-Site: none"}, 200},
		{"a name that leads to the loopback", []string{"Host: evil.test:8180"}, 403},
		{"a name that begins like one", []string{"Host: localhost.evil.test"}, 403},
		{"an address elsewhere", []string{"Host: 192.0.2.7:8180"}, 403},
		{"no name", []string{"Host: "}, 403},
		{"a page elsewhere", []string{"Origin: https://evil.test"}, 403},
		{"a page on another port", []string{"Origin: http://127.0.0.1:3000"}, 403},
		{"a page in a sandbox", []string{"Origin: null"}, 403},
		{"an image on a page elsewhere", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"an image on a page on another port", []string{"Sec-Fetch-Site: same-site"}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDaemon(t)
			assert.Equal(t, c.status, d.do("GET", "/v1/runs", "", c.headers...).Code)
			if c.status == 403 {
				assert.Equal(t, 403, d.do("POST", "/v1/flows/hello/runs", "", c.headers...).Code)
				assert.Equal(t, 403, d.do("GET", "/healthz", "", c.headers...).Code)
				assert.Empty(t, d.host.starts)
			}
			_, key, err := d.keys.Create("page", server.ScopeRead, time.Time{})
			require.NoError(t, err)
			assert.Equal(t, 200, d.do("GET", "/v1/runs", "", append(c.headers, "Authorization: Bearer "+key)...).Code, "who has a key may come from anywhere")
		})
	}
}

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "keys.json")
	keys, err := server.OpenKeys(path)
	require.NoError(t, err)
	list, err := keys.List()
	require.NoError(t, err)
	assert.Empty(t, list)
	assert.NoFileExists(t, path, "looking makes no file")

	made, secret, err := keys.Create(" shop ", server.ScopeRun, time.Time{})
	require.NoError(t, err)
	assert.Regexp(t, `^fk_[a-z2-7]{8}_[a-z2-7]{52}$`, secret)
	assert.Equal(t, "shop", made.Name)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.NotContains(t, string(text), secret[12:])
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	// Another process makes one.
	other, err := server.OpenKeys(path)
	require.NoError(t, err)
	second, _, err := other.Create("another", server.ScopeRead, time.Now().Add(time.Hour))
	require.NoError(t, err)
	list, err = keys.List()
	require.NoError(t, err)
	assert.ElementsMatch(t, []server.Key{made, second}, list)

	require.NoError(t, other.Revoke(made.ID))
	list, err = keys.List()
	require.NoError(t, err)
	assert.Equal(t, []server.Key{second}, list)
	assert.EqualError(t, keys.Revoke("nothing"), `there is no key with the id "nothing"`)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, f := range left {
		assert.NotContains(t, f.Name(), ".tmp")
	}
}

func TestKeysThatAreNotMade(t *testing.T) {
	keys, err := server.OpenKeys(filepath.Join(t.TempDir(), "keys.json"))
	require.NoError(t, err)
	for _, c := range []struct {
		name    string
		scope   server.Scope
		expires time.Time
		want    string
	}{
		{"", server.ScopeRun, time.Time{}, "a key needs a name"},
		{"a\nb", server.ScopeRun, time.Time{}, "on one line"},
		{strings.Repeat("n", 101), server.ScopeRun, time.Time{}, "at most 100"},
		{"shop", "write", time.Time{}, `there is no scope "write": use read, run or admin`},
		{"shop", server.ScopeRun, began.AddDate(-10, 0, 0), "already have expired"},
	} {
		_, _, err := keys.Create(c.name, c.scope, c.expires)
		assert.ErrorContains(t, err, c.want)
	}
	made, err := keys.FileExists()
	require.NoError(t, err)
	assert.False(t, made)
}

func TestManyMakeKeysAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	done := make(chan error)
	for range 8 {
		go func() {
			keys, err := server.OpenKeys(path)
			if err == nil {
				_, _, err = keys.Create("one", server.ScopeRead, time.Time{})
			}
			done <- err
		}()
	}
	for range 8 {
		require.NoError(t, <-done)
	}
	keys, err := server.OpenKeys(path)
	require.NoError(t, err)
	list, err := keys.List()
	require.NoError(t, err)
	assert.Len(t, list, 8)
}

func TestFilesOfKeysThatAreNotTrusted(t *testing.T) {
	hash := strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"open to others": {`{"format":1,"keys":[]}`, 0o622, "others may write to it; run chmod 600 on it"},
		"torn":           {`{"format":1,"ke`, 0o600, "it is damaged"},
		"empty":          {"", 0o600, "it is damaged"},
		"newer":          {`{"format":2,"keys":[]}`, 0o600, "use a newer facteur"},
		"null":           {`{"format":1,"keys":[null]}`, 0o600, "a key that is null"},
		"short hash":     {`{"format":1,"keys":[{"id":"a","scope":"read","sha256":"00"}]}`, 0o600, `its key "a" is damaged`},
		"other scope":    {`{"format":1,"keys":[{"id":"a","scope":"all","sha256":"` + hash + `"}]}`, 0o600, `its key "a" is damaged`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.json")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
			require.NoError(t, os.Chmod(path, c.mode))
			keys, err := server.OpenKeys(path)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
			_, _, err = keys.Create("shop", server.ScopeRead, time.Time{})
			require.Error(t, err, "it is not written over")

			// A daemon whose file goes bad lets nobody in.
			d := newDaemon(t, func(o *server.Options) { o.Keys = keys })
			assert.Equal(t, 500, d.do("GET", "/v1/runs", "", "Authorization: Bearer fk_x").Code)
		})
	}
}

func TestAKeyExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t)
		made, key, err := d.keys.Create("shop", server.ScopeAdmin, time.Now().Add(time.Hour))
		require.NoError(t, err)
		auth := "Authorization: Bearer " + key
		list := decode[server.KeyList](t, d.do("GET", "/v1/keys", "", auth))
		require.Len(t, list.Keys, 1)
		assert.True(t, list.Keys[0].LastUsedAt.Equal(time.Now().Truncate(time.Second)))
		list.Keys[0].LastUsedAt = time.Time{}
		assert.Equal(t, made, list.Keys[0])

		time.Sleep(time.Hour) // of the bubble
		p := d.refused("GET", "/v1/keys", "", auth)
		assert.Equal(t, server.Unauthorized, p.Kind())
		assert.Contains(t, p.Detail, made.ID+" expired at ")
		assert.Equal(t, 200, d.do("GET", "/healthz", "", auth).Code)
	})
}

func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:8080": true, "127.8.8.8:0": true, "localhost:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true,
		"0.0.0.0:80": false, ":80": false, "[::]:80": false, "10.0.0.1:80": false, "localhost.shop.test:80": false, "127.0.0.1": false, "": false,
	} {
		assert.Equal(t, want, server.IsLoopback(address), address)
	}
}
