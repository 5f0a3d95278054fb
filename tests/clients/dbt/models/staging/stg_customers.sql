select profile_id, email, country, loyalty_tier
from {{ source('cdp', 'profiles') }}
