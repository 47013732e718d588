package temporal

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

// A Persistent server stores its data in a SQLite file, so that it can be restarted.
type Persistent struct {
	Address   string // host:port, the same after a restart
	Namespace string

	config *config.Config
	server temporal.Server
}

// sqlitePlugin is the name of the SQLite plugin.
const sqlitePlugin = "sqlite"

// StartPersistent starts a server that ends with the test, with a namespace.
func StartPersistent(t testing.TB) *Persistent {
	t.Helper()
	file := &config.SQL{
		PluginName: sqlitePlugin, DatabaseName: filepath.Join(t.TempDir(), "temporal.db"),
		ConnectAttributes: map[string]string{"mode": "rwc"},
	}
	s := &Persistent{Namespace: "lasting", config: configuration(t, file, file, 1)}
	s.Address = s.config.PublicClient.HostPort
	require.NoError(t, sqlite.SetupSchema(file))
	namespace, err := sqlite.NewNamespaceConfig(s.config.ClusterMetadata.CurrentClusterName, s.Namespace, false, nil)
	require.NoError(t, err)
	require.NoError(t, sqlite.CreateNamespaces(file, namespace))
	t.Cleanup(func() { s.Stop(t) })
	s.Restart(t)
	return s
}

// Restart starts a stopped server again, with its data.
func (s *Persistent) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.server = serve(t, s.config)
	dial(t, s.Address, s.Namespace)
}

// Stop stops the server. The file stays.
func (s *Persistent) Stop(t testing.TB) {
	t.Helper()
	if s.server != nil {
		require.NoError(t, s.server.Stop())
		s.server = nil
	}
}

// serve starts a server.
func serve(t testing.TB, settings *config.Config) temporal.Server {
	t.Helper()
	server, err := temporal.NewServer(
		temporal.WithConfig(settings),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithLogger(log.NewNoopLogger()),
		temporal.WithDynamicConfigClient(dynamicconfig.StaticClient{
			dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
			dynamicconfig.NamespaceCacheRefreshInterval.Key():           100 * time.Millisecond,
		}),
	)
	require.NoError(t, err)
	require.NoError(t, server.Start())
	return server
}

// configuration returns the configuration of a server on loopback, on free ports.
func configuration(t testing.TB, runs, visibility *config.SQL, shards int32) *config.Config {
	t.Helper()
	free := freePorts(t, 10)
	service := func() config.Service {
		rpc := config.RPC{GRPCPort: free[0], MembershipPort: free[1], BindOnIP: "127.0.0.1"}
		free = free[2:]
		return config.Service{RPC: rpc}
	}
	frontend := fmt.Sprintf("127.0.0.1:%d", free[0])
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: "127.0.0.1"},
			Metrics:    &metrics.Config{Prometheus: &metrics.PrometheusConfig{ListenAddress: fmt.Sprintf("127.0.0.1:%d", free[8]), HandlerPath: "/metrics"}},
		},
		Persistence: config.Persistence{
			DefaultStore: "runs", VisibilityStore: "visibility", NumHistoryShards: shards,
			DataStores: map[string]config.DataStore{"runs": {SQL: runs}, "visibility": {SQL: visibility}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: "active", CurrentClusterName: "active",
			ClusterInformation: map[string]cluster.ClusterInformation{"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			"frontend": service(), "history": service(), "matching": service(), "worker": service(),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: frontend},
	}
}

// freePorts returns free ports below 32768: the server's PostgreSQL schema stores ports as
// smallint.
func freePorts(t testing.TB, n int) (free []int) {
	t.Helper()
	for range 1000 {
		port := 10_000 + rand.IntN(22_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close()
		if free = append(free, port); len(free) == n {
			return free
		}
	}
	require.FailNow(t, "there are not enough free ports between 10000 and 32000")
	return nil
}
