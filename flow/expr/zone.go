package expr

import (
	_ "embed"
	"slices"
	"strings"
	"time"

	"facteur/flow/diag"
)

// Go loads a time zone by its name, but cannot list them. The names only serve to suggest one
// for a name that is unknown.
//
//go:embed zones.txt
var zoneNames string

// TimeZone returns a time zone by its name in the IANA database, such as Europe/Paris; "" is
// UTC. For an unknown name zone is nil, and suggestion the name that is probably meant, or "".
func TimeZone(name string) (zone *time.Location, suggestion string) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // it depends on the machine
		return nil, suggestZone(name)
	}
	return zone, ""
}

// suggestZone finds a zone by the name of its city, preferably in the same area.
func suggestZone(name string) string {
	names := strings.Fields(zoneNames)
	area, city := cutZone(name)
	var sameArea, anyArea []string
	for _, zone := range names {
		if strings.EqualFold(zone, name) {
			return zone
		}
		in, place := cutZone(zone)
		if in == "" || in == "Etc" || city == "" || !strings.EqualFold(place[:1], city[:1]) {
			continue // similar names of cities with another first letter are other cities
		}
		anyArea = append(anyArea, place)
		if strings.EqualFold(in, area) {
			sameArea = append(sameArea, place)
		}
	}
	suggestion := diag.Suggest(city, sameArea)
	if suggestion != "" {
		return area + "/" + suggestion
	}
	if suggestion = diag.Suggest(city, anyArea); suggestion == "" {
		return ""
	}
	i := slices.IndexFunc(names, func(zone string) bool { return strings.HasSuffix(zone, "/"+suggestion) })
	return names[i]
}

// cutZone splits a name at its last /.
func cutZone(name string) (area, city string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}
