package sas

import (
	"context"
	"strconv"

	"portolan"
	"portolan/internal/rpc"
)

type describeImageInstancesRequest struct {
	criteriaRequest
	Scanned *bool `doc:"true answers the images that were scanned: none until scanning exists." example:"false"`
	rpc.Paging
}

type describeImageInstancesResponse struct {
	ImageInstanceList []imageRow `doc:"The images of the page, the last updated first."`
	PageInfo          pageInfo   `doc:"Where the page is."`
}

// imageText is an image as DescribeImageInstances writes it: its numbers are
// texts.
type imageText struct {
	Digest      string `doc:"The digest, without sha256:." example:"a5ccdd9b166b67e02954aa9b618fe19b7968bd56a15463d2ad7f2643ba5bd1c1"`
	ImageCreate string `doc:"When it was built, else when it came, in milliseconds." example:"1600069948849"`
	ImageID     string `json:"ImageId" doc:"The digest of its configuration; empty for a multi-platform image." example:"c20987f18b130f9d144c9828df630417e2a9523148930dc3963e9d0dab30c1b5"`
	ImageSize   string `doc:"Bytes of manifest, configuration and layers." example:"1604487690"`
	ImageUpdate string `doc:"When its newest tag came to it, in milliseconds." example:"1600069948849"`
	RepoType    string `doc:"public if known to be, else private." example:"private"`
	Status      string `doc:"NORMAL." example:"NORMAL"`
	Tag         string `doc:"The newest tag; empty if untagged." example:"1.8.0"`
	UUID        string `json:"Uuid" doc:"The id of the image, kept as long as it is in its repository." example:"01a20f2f-f375-76fd-bb89-b2bab8585b4a"`
}

// ours are our fields of an image, after the documented ones.
type ours struct {
	RegistryID int64    `json:"RegistryId" doc:"The registry it is in." example:"22233"`
	Tags       []string `doc:"All its tags, sorted." example:"1.8.0"`
	MediaType  string   `doc:"The media type of its manifest." example:"application/vnd.oci.image.index.v1+json"`
	Platforms  []string `doc:"The platforms of a multi-platform image." example:"linux/amd64"`
}

type imageRow struct {
	imageText
	placed
	risk
	analysis
	SourceBizTag string `doc:"Always empty." example:""`
	ours
}

func (s *Service) describeImageInstances() rpc.Endpoint {
	return rpc.Operation[describeImageInstancesRequest, describeImageInstancesResponse]{
		Spec: vendor("DescribeImageInstances", rpc.List, "Lists images.", `
One row for each image: a digest in a repository, however many tags it has. Totals are exact, and a page and its total
belong to one state of the inventory.`),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeImageInstancesRequest) (*describeImageInstancesResponse, error) {
			c, err := req.criteria()
			if err != nil {
				return nil, err
			}
			resp := &describeImageInstancesResponse{PageInfo: pageOf(req.Paging, 0, 0)}
			if scannedOnly(req.Scanned) {
				return resp, nil
			}
			list, total, err := s.DB.Images(ctx, caller.Principal.AccountID, c, req.CurrentPage, req.PageSize)
			if err != nil {
				return nil, err
			}
			resp.ImageInstanceList = imageRows(list)
			resp.PageInfo = pageOf(req.Paging, len(list), total)
			return resp, nil
		},
	}.Endpoint()
}

func imageRows(list []portolan.Image) []imageRow {
	rows := make([]imageRow, len(list))
	for k := range list {
		i := &list[k]
		rows[k] = imageRow{
			imageText: imageText{
				Digest: i.Digest.Wire(), ImageCreate: millis(built(i)), ImageID: i.ImageID.Wire(), ImageSize: strconv.FormatInt(i.Size, 10),
				ImageUpdate: millis(i.Updated), RepoType: repoType(&i.Repository), Status: statusNormal, Tag: portolan.NewestTag(i.Tags).Name, UUID: i.UUID,
			},
			placed: placeOf(&i.Repository), risk: noRisk(), analysis: noAnalysis(), ours: oursOf(i),
		}
	}
	return rows
}

const statusNormal = "NORMAL"

func oursOf(i *portolan.Image) ours {
	return ours{RegistryID: i.Repository.Registry.ID, Tags: tagNames(i), MediaType: i.MediaType, Platforms: i.Platforms}
}
