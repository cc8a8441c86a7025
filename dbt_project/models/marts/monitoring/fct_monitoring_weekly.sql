select
    {{ slice_columns() }},
    r.township_code,
    r.unstable_households,
    r.unstable_persons,
    r.marginal_households,
    r.marginal_persons,
    r.red_households,
    r.yellow_households,
    r.blue_households,
    r.new_households,
    r.cleared_households,
    r.assisted_households,
    r.unstable_households + r.marginal_households as monitored_households,
    r.unstable_persons + r.marginal_persons as monitored_persons
{{ from_slices('MON01') }}
