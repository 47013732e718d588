package export

import (
	"maps"

	"facteur/flow"
	"facteur/flow/plan"
)

// useSettings gives the test the settings that the run had, if the project's have changed.
func (x *exporter) useSettings(f *flow.Flow) error {
	settings, err := plan.SettingsOf(x.report.Sources)
	if err != nil {
		return err
	}
	if settings == nil || x.report.Sources[plan.SettingsText] == x.plan.Texts[plan.SettingsText] {
		return nil
	}
	x.anonymizer.scan("", settings, false)
	settings = x.anonymizer.object(settings)
	lib := x.Library
	lib.Settings = map[string]any{}
	maps.Copy(lib.Settings, x.Library.Settings)
	maps.Copy(lib.Settings, settings)
	p, found := plan.Compile(f, lib)
	if p == nil {
		x.note("the settings have changed since the run, and the flow does not fit those that it had: %v", found.Err())
		return nil
	}
	x.plan = p
	x.settings = settings
	return nil
}

// sourcesOf returns the flows' sources among the texts of a plan.
func sourcesOf(texts map[string]string) map[string]string {
	sources := maps.Clone(texts)
	delete(sources, plan.SettingsText)
	return sources
}
