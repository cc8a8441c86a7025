{{ ever_listed('rel01', 'site_code', ['r.site_name', 'r.township as township_code', 'r.resettlement_type']) }}
