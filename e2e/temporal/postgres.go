package temporal

import (
	"fmt"
	"io"
	"net/url"
	"testing"
	"time"

	"facteur/e2e/postgres"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/schema"
	v12 "go.temporal.io/server/schema/postgresql/v12"
)

// The databases of a server over PostgreSQL.
const (
	RunsDatabase       = "temporal"
	VisibilityDatabase = "temporal_visibility"
)

// StartOnPostgres starts a server that stores its data in PostgreSQL, as in production, with so
// many history shards. It ends with the test.
func StartOnPostgres(t testing.TB, db *postgres.Server, shards int32) *Server {
	t.Helper()
	runs := createDatabase(t, db, RunsDatabase, "temporal", v12.Version, 20)
	visibility := createDatabase(t, db, VisibilityDatabase, "visibility", v12.VisibilityVersion, 10)
	settings := configuration(t, runs, visibility, shards)
	server := serve(t, settings)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return newServer(t, settings.PublicClient.HostPort)
}

// createDatabase creates a database with one of the server's schemas, and returns the
// configuration of its connections.
func createDatabase(t testing.TB, server *postgres.Server, name, kind, version string, connections int) *config.SQL {
	t.Helper()
	server.Exec(t, server.URL("postgres"), "CREATE DATABASE "+name)
	address, err := url.Parse(server.URL(name))
	require.NoError(t, err)
	password, _ := address.User.Password()
	cfg := &config.SQL{
		PluginName: postgresql.PluginNamePGX, ConnectProtocol: "tcp", ConnectAddr: address.Host,
		User: address.User.Username(), Password: password, DatabaseName: name,
		MaxConns: connections, MaxIdleConns: connections, MaxConnLifetime: time.Hour,
	}
	db, err := sql.NewSQLAdminDB(sqlplugin.DbKindUnknown, cfg, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	require.NoError(t, err)
	defer db.Close()
	tables, err := schema.Assets().Open(fmt.Sprintf("postgresql/v12/%s/schema.sql", kind))
	require.NoError(t, err)
	defer tables.Close()
	statements, err := persistence.LoadAndSplitQueryFromReaders([]io.Reader{tables})
	require.NoError(t, err)
	require.NoError(t, db.CreateSchemaVersionTables())
	for _, statement := range statements {
		require.NoError(t, db.Exec(statement), statement)
	}
	require.NoError(t, db.UpdateSchemaVersion(name, version, version))
	return cfg
}
