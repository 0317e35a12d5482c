package sodatest

import (
	"net/http"
	"strconv"
)

// viewMissing is the 404 of /api/views. What is no 4x4 id at all is echoed.
func viewMissing(id string) *answer {
	if datasetID("/"+id) == "" {
		return errorAnswer(404, "not_found", "Not found", `{"id":`+quoteJSON(id)+`}`)
	}
	return errorAnswer(404, "not_found", "Cannot find view with id "+id, "")
}

// view answers /api/views/{id}.
func (s *Server) view(r *http.Request, name string) *answer {
	d := s.datasets[base(name)]
	switch {
	case d == nil:
		return viewMissing(base(name))
	case !isRead(r):
		return methodNotAllowed(r, "GET")
	}
	return d.view()
}

// A viewColumn describes a column in a view's metadata.
type viewColumn struct {
	ID             int               `json:"id"`
	Name           string            `json:"name"`
	DataTypeName   string            `json:"dataTypeName"`
	FieldName      string            `json:"fieldName"`
	Position       int               `json:"position"`
	RenderTypeName string            `json:"renderTypeName"`
	TableColumnID  int               `json:"tableColumnId"`
	Width          int               `json:"width"`
	Format         map[string]string `json:"format"`
}

// view is the metadata of d. Times are seconds since 1970.
func (d *dataset) view() *answer {
	columns := []viewColumn{}
	for i, c := range d.columns {
		columns = append(columns, viewColumn{
			ID: 1000 + i, Name: c.name, DataTypeName: c.typ, FieldName: c.name, Position: i + 1,
			RenderTypeName: c.typ, TableColumnID: 2000 + i, Width: 100, Format: map[string]string{},
		})
	}
	user := map[string]any{"id": "user-0001", "displayName": "Sample", "screenName": "Sample"}
	created, modified := d.created.Unix(), d.modified.Unix()
	return &answer{status: 200, header: http.Header{"Content-Type": {jsonType}}, body: []byte(quoteJSON(map[string]any{
		"id": d.id, "name": "Data set " + d.id, "assetType": "dataset", "averageRating": 0, "category": "Sample",
		"columns": columns, "createdAt": created, "displayType": "table", "downloadCount": 0, "flags": []string{"default"},
		"grants":   []any{map[string]any{"flags": []string{"public"}, "inherited": false, "type": "viewer"}},
		"metadata": map[string]any{"rowLabel": "Row", "custom_fields": map[string]any{}, "availableDisplayTypes": []string{"table"}},
		"license":  map[string]any{"name": "Public Domain"}, "licenseId": "PUBLIC_DOMAIN",
		"newBackend": true, "numberOfComments": 0, "oid": 1, "owner": user, "tableAuthor": user,
		"publicationAppendEnabled": false, "publicationDate": created, "publicationGroup": 1, "publicationStage": "published",
		"indexUpdatedAt": modified, "rowsUpdatedAt": modified, "rowsUpdatedBy": "user-0001", "viewLastModified": modified,
		"rights": []string{"read"}, "tableId": 1, "tags": []string{}, "totalTimesRated": 0, "viewCount": 0, "viewType": "tabular",
		"rowCount": strconv.Itoa(len(d.rows) + d.unmade),
	}) + "\n")}
}
