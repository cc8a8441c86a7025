{{ ever_listed('cop01', 'project_no', ['r.project_name', 'r.fund_source', 'r.project_type']) }}
